//! Column projections: which columns of a row are read, so that a list of a hundred products reads only what is needed.
//!
//! Omitted columns have their default value, so the caller must know which columns will be used.

use sea_orm::QueryResult;

use super::entity::{product, variant};
use crate::base::Result;

macro_rules! declare_projection {
    ($(#[$doc:meta])* $name:ident of $entity:ident { $($column:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
        pub struct $name {
            $(pub $column: bool),+
        }

        impl $name {
            /// Every column.
            pub const ALL: Self = Self { $($column: true),+ };

            /// Returns the union of both.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($column: self.$column || other.$column),+ }
            }

            /// Returns the columns for a `SELECT`: `p.id, p.name`.
            #[must_use]
            pub fn of(self, table: &str) -> String {
                let mut list = String::new();
                $(if self.$column {
                    if !list.is_empty() {
                        list.push_str(", ");
                    }
                    list.push_str(table);
                    list.push_str(concat!(".", stringify!($column)));
                })+
                list
            }

            /// Reads the columns from a row, starting at an index, in the order of [`Self::of`].
            pub fn read(self, row: &QueryResult, first_index: usize) -> Result<$entity::Model> {
                let mut model = $entity::Model::default();
                let mut indexes = first_index..;
                $(if self.$column {
                    model.$column = row.try_get_by(indexes.next().unwrap_or_default())?;
                })+
                Ok(model)
            }
        }
    };
}

declare_projection!(
    /// Columns of `product`.
    ProductColumns of product {
        id, slug, name, name_normalized, vendor, vendor_normalized, category_id, status, featured, image, sku, price, sale_price,
        current_price, max_current_price, in_stock, next_price_change_at, version, created_at, updated_at, deleted_at,
    }
);

declare_projection!(
    /// Columns of `variant`.
    VariantColumns of variant {
        id, product_id, sku, name, options_normalized, price, sale_price, sale_starts_at, sale_ends_at, weight_grams, image,
        barcode, track_stock, allow_backorder, position, version, created_at, updated_at, deleted_at,
    }
);
