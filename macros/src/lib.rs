//! Macros of Savannah: each GraphQL field and each column is declared once.
//!
//! The generated code refers to `crate::graphql::batched` and `crate::catalog::projection`, which explain the traits.

mod columns;
mod field;
mod object;

use proc_macro::TokenStream;

/// Declares the fields of a GraphQL object for the executor and for batches. Placed above `#[Object]`.
///
/// An `async fn` is a resolver of the executor; a batch that selects it is left to the executor. A `fn` computes its
/// field without waiting, for both: it becomes an `async fn` for `#[Object]`, and a field of
/// `batched::BatchResolve`. It has no guard, no validator and no directive; with one it does not compile.
///
/// Parameters of a `fn`, besides the arguments of the field:
/// - `context: &RequestContext`, the context of the request;
/// - `#[load(key)] value: Option<V>`, the value that a data loader returns for the key. A batch loads the keys of all
///   its objects at once. The field fails if the load fails, so its type in the schema is `Result<T>`.
///   `#[load_optional(key)]` takes an `Option` of a key.
///
/// With `#[batched_object(columns = product::Column, row = self.0)]` the object is a row of a table, and a selection of
/// fields reads only the columns that they need: those of the row's fields `self.0.…` that the body of the `fn` and its
/// key name. Where `self` is used in another way, that is every column, unless `#[columns(set)]` states the
/// `ColumnSet`. Keys and sets may use `context` (keys only) and `selection`, the selection of the field.
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
