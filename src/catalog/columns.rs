//! Which columns of a row a reader wants: a list of a hundred products should not read what nobody asked for.
//!
//! What was left out holds its default, so whoever asks for fewer columns must know what will be looked at.

use sea_orm::QueryResult;

use super::entity::{product, variant};
use crate::base::Result;

macro_rules! columns {
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

            /// What either wants.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($column: self.$column || other.$column),+ }
            }

            /// `p.id, p.name`, for a `SELECT`.
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

            /// Reads them from a row that has them at a place and after it, in the order of [`Self::of`].
            ///
            /// # Errors
            /// When the row holds something else.
            pub fn read(self, row: &QueryResult, place: usize) -> Result<$entity::Model> {
                let mut model = $entity::Model::default();
                let mut places = place..;
                $(if self.$column {
                    model.$column = row.try_get_by(places.next().unwrap_or_default())?;
                })+
                Ok(model)
            }
        }
    };
}

columns!(
    /// Columns of `product`.
    ProductColumns of product {
        id, slug, name, name_key, vendor, vendor_key, category_id, status, featured, image, sku, price, sale_price,
        price_now, price_max, in_stock, reprice_at, created_at, updated_at, deleted_at,
    }
);

columns!(
    /// Columns of `variant`.
    VariantColumns of variant {
        id, product_id, sku, name, option_key, price, sale_price, sale_starts_at, sale_ends_at, weight_grams, image,
        barcode, track_stock, position, created_at, updated_at, deleted_at,
    }
);
