//! The change of one field in a partial update.

/// The change of one field: unchanged, cleared or set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

    /// Returns `Set` for a value and `Unchanged` for `None`.
    #[must_use]
    pub fn from_provided(value: Option<T>) -> Self {
        value.map_or(Self::Unchanged, Self::Set)
    }

    /// Returns whether the field keeps its value.
    #[must_use]
    pub const fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }

    /// Returns the change with a reference to the new value.
    #[must_use]
    pub const fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Unchanged => Patch::Unchanged,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(value),
        }
    }

    /// Returns the new value; `None` if the field is unchanged or cleared.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        if let Self::Set(value) = self { Some(value) } else { None }
    }

    /// Returns the new value; `None` if the field is unchanged or cleared.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        if let Self::Set(value) = self { Some(value) } else { None }
    }

    /// Converts the new value.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Unchanged => Patch::Unchanged,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(convert(value)),
        }
    }

    /// Returns the new value of a field that is empty after clearing it; `None` if the field is unchanged.
    #[must_use]
    pub fn or_empty(self) -> Option<T>
    where
        T: Default,
    {
        match self {
            Self::Unchanged => None,
            Self::Clear => Some(T::default()),
            Self::Set(value) => Some(value),
        }
    }

    /// Applies the change to a nullable field.
    pub fn apply_to(self, target: &mut Option<T>) {
        match self {
            Self::Unchanged => {}
            Self::Clear => *target = None,
            Self::Set(value) => *target = Some(value),
        }
    }
}
