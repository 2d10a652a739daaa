//! Macros of Savannah: each GraphQL field and each column is declared once.
//!
//! The generated code refers to `crate::graphql::batched` and `crate::catalog::projection`.

mod columns;
mod field;
mod object;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Declares the fields of a GraphQL object for the executor and for batches. Placed above `#[Object]`.
///
/// An `async fn` is resolved by the executor only, with everything that selects it. A `fn` computes its field without
/// waiting, for both; it has no guard, validator or directive: with one it does not compile.
///
/// Parameters of a `fn`, besides the arguments of the field:
/// - `context: &RequestContext`;
/// - `#[load(key)] value: Option<V>`: what a data loader returns for the key; a batch loads the keys of all its objects
///   at once. `#[load_optional(key)]` takes an `Option` of a key. The key may use `context`, and `selection`, the
///   selection of the field;
/// - `#[load_next(key)] value: Option<V>`: a second load after it. Its key is an `Option`, and may use a reference to
///   the value of the first.
///
/// With `#[batched_object(columns = product::Column, row = self.0)]` the object is a row of a table, of which a
/// selection reads only the columns that its fields need: those that the `fn` and its key name as `self.0.…`. If they
/// use `self` otherwise, that is every column, unless `#[columns(…)]` states the `ColumnSet`.
///
/// `cached_as = record` names a function `fn(&Self, &CacheRecorder, &RequestContext)` that records what a cached
/// response with the object depends on.
#[proc_macro_attribute]
pub fn batched_object(arguments: TokenStream, item: TokenStream) -> TokenStream {
    object::expand_object(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `batched::BatchResolve` for a struct that is a `SimpleObject`.
#[proc_macro_derive(BatchedObject)]
pub fn derive_batched_object(item: TokenStream) -> TokenStream {
    object::expand_struct(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `projection::ReadColumn` for the `Model` of an entity.
#[proc_macro_derive(ReadColumn)]
pub fn derive_read_column(item: TokenStream) -> TokenStream {
    columns::expand_read_column(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
