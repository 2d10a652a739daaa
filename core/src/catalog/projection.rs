//! Column projections: which columns of a row are read, so that a list of a hundred products reads only what is needed.

use std::{
    hash::{Hash, Hasher},
    marker::PhantomData,
    mem::discriminant,
};

use sea_orm::{DbErr, IdenStatic, Iterable, QueryResult};

use super::entity::{product, variant};
use crate::base::Result;

/// Columns of `product`.
pub type ProductColumns = ColumnSet<product::Column>;
/// Columns of `variant`.
pub type VariantColumns = ColumnSet<variant::Column>;

/// Set of at most 64 columns of an entity.
///
/// A row that is read by a set is a complete model, in which other columns have their default value. So the caller must
/// know which columns will be used.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSet<C> {
    /// One bit for each column, in the order of the entity.
    bits: u64,
    column_type: PhantomData<C>,
}

/// Model whose columns can be read one by one. Derived.
pub trait ReadColumn: Default {
    /// Column of the entity.
    type Column;

    /// Reads a column from the value at an index of a row.
    fn read_column(&mut self, column: Self::Column, row: &QueryResult, index: usize) -> Result<(), DbErr>;
}

impl<C: Copy> ColumnSet<C> {
    /// Every column.
    pub const ALL: Self = Self { bits: u64::MAX, column_type: PhantomData };
    /// No column.
    pub const EMPTY: Self = Self { bits: 0, column_type: PhantomData };

    /// Returns the columns of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, ..self }
    }
}

impl<C: Iterable> ColumnSet<C> {
    /// Returns the columns, in the order of the entity.
    fn columns(self) -> impl Iterator<Item = C> {
        C::iter().enumerate().filter(move |(index, _)| (self.bits >> index) & 1 == 1).map(|(_, column)| column)
    }

    /// Returns the columns for a `SELECT`: `p.id, p.name`.
    #[must_use]
    pub fn select_list(self, table: &str) -> String
    where
        C: IdenStatic,
    {
        let columns: Vec<String> = self.columns().map(|column| format!("{table}.{}", column.as_str())).collect();
        columns.join(", ")
    }

    /// Reads the columns from a row, starting at an index, in the order of [`Self::select_list`].
    pub fn read<M: ReadColumn<Column = C>>(self, row: &QueryResult, first_index: usize) -> Result<M> {
        let mut model = M::default();
        for (index, column) in (first_index..).zip(self.columns()) {
            model.read_column(column, row, index)?;
        }
        Ok(model)
    }
}

impl<C: Iterable, const N: usize> From<[C; N]> for ColumnSet<C> {
    fn from(columns: [C; N]) -> Self {
        let index_of = |column| C::iter().position(|other| discriminant(&other) == discriminant(&column));
        let bits = columns.into_iter().filter_map(index_of).fold(0, |bits, index| bits | (1 << index));
        Self { bits, column_type: PhantomData }
    }
}

// Derived, these would require the same of the column.
impl<C> PartialEq for ColumnSet<C> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<C> Eq for ColumnSet<C> {}

impl<C> Hash for ColumnSet<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
