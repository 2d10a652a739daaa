//! What a partial change says of one field.

/// Left as it is, emptied, or something new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T = String> {
    /// As it is.
    #[default]
    Keep,
    /// Emptied.
    Clear,
    /// This from now on.
    Set(T),
}

impl<T> Patch<T> {
    /// Of something new: what is there is set, what is not is empty.
    #[must_use]
    pub fn to(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}
