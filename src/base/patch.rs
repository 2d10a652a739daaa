//! The change of one field in a partial update.

/// The change of one field: unchanged, cleared or set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T = String> {
    /// Keeps the current value.
    #[default]
    Unchanged,
    /// Clears the value.
    Clear,
    /// Sets a new value.
    Set(T),
}

impl<T> Patch<T> {
    /// Returns `Set` for a value and `Clear` for `None`.
    #[must_use]
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}
