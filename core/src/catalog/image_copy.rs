//! Replaces images at other addresses by their copies in the shop.

use sea_orm::{EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};

use super::{
    category::CategoriesChanged,
    category_tree,
    entity::product,
    events::ProductsChanged,
    product_lock::lock_products,
    queries::media_use::{RemoteImageUse, find_remote_image_use, replace_remote_url},
};
use crate::{
    base::Result,
    infra::{Tx, eq_any},
};

/// Replaces the URL of an image in all products, variants and categories. Statements: 10 at most, for any number of them.
///
/// # Errors
/// Returns the error of the database.
pub async fn replace_image(tx: &Tx, from: &str, to: &str) -> Result<()> {
    if find_remote_image_use(tx, from).await? == RemoteImageUse::default() {
        return Ok(());
    }
    // The lock order of all writers: the tree, then products by id.
    category_tree::lock_category_tree(tx).await?;
    let RemoteImageUse { products, categories } = find_remote_image_use(tx, from).await?;
    let products = lock_products(tx, eq_any(tx, product::Column::Id, products.iter().copied()), None).await?;
    replace_remote_url(tx, from, to).await?;
    if !categories.is_empty() {
        category_tree::bump_tree_version(tx).await?;
        tx.emit_event(CategoriesChanged { changed: categories, ..CategoriesChanged::default() }).await?;
    }
    if products.is_empty() {
        return Ok(());
    }
    product::Entity::update_many()
        .col_expr(product::Column::Version, Expr::col(product::Column::Version).add(1))
        .col_expr(product::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(eq_any(tx, product::Column::Id, products.iter().copied()))
        .exec(tx)
        .await?;
    tx.emit_event(ProductsChanged { products }).await
}
