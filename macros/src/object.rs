//! Objects that are resolved in batches.

use heck::ToLowerCamelCase;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DeriveInput, Error, Expr, Field, Fields, ImplItem, ItemImpl, MetaNameValue, Result, Token, Type,
    parse::Parser, punctuated::Punctuated,
};

use crate::{
    columns::ObjectRow,
    field::{BatchedField, reject_options},
};

/// Expands `#[batched_object]`.
pub fn expand_object(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(arguments)?;
    let value_of = |name| arguments.iter().find(|argument| argument.path.is_ident(name)).map(|found| &found.value);
    let row = value_of("columns").zip(value_of("row"));
    let row = row.map(|(column_type, row)| ObjectRow { column_type: column_type.clone(), row: row.clone() });
    let ItemImpl { attrs, self_ty, items, .. } = syn::parse2(item)?;
    reject_options(&attrs, "Object", &["name"])?;
    let (mut resolvers, mut functions, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            ImplItem::Fn(method) if method.sig.asyncness.is_none() => {
                let (resolver, function, field) = BatchedField::from_method(method, row.as_ref())?;
                resolvers.push(resolver);
                functions.push(function);
                fields.push(field);
            }
            item => resolvers.push(quote!(#item)),
        }
    }
    let batch_resolve = implement_batch_resolve(&self_ty, &fields, value_of("cached_as"));
    let select_columns = row.map(|row| implement_select_columns(&self_ty, &fields, &row.column_type));
    Ok(quote! {
        #(#attrs)*
        impl #self_ty {
            #(#resolvers)*
        }

        impl #self_ty {
            #(#functions)*
        }

        #batch_resolve
        #select_columns
    })
}

/// Expands `#[derive(BatchedObject)]`.
pub fn expand_struct(item: TokenStream) -> Result<TokenStream> {
    let object: DeriveInput = syn::parse2(item)?;
    let mut fields = Vec::new();
    for Field { attrs, ident, ty, .. } in named_fields(&object)? {
        reject_options(attrs, "graphql", &[])?;
        let values = quote!(field.render(objects.iter().map(|object| object.#ident.clone())));
        let name = quote!(#ident).to_string().to_lower_camel_case();
        fields.push(BatchedField { name, output: ty.clone(), loads: false, values, columns: None });
    }
    let name = &object.ident;
    Ok(implement_batch_resolve(&syn::parse2(quote!(#name))?, &fields, None))
}

/// Returns the fields of a struct.
pub fn named_fields(input: &DeriveInput) -> Result<&Punctuated<Field, Token![,]>> {
    match &input.data {
        Data::Struct(syn::DataStruct { fields: Fields::Named(fields), .. }) => Ok(&fields.named),
        _ => Err(Error::new_spanned(&input.ident, "only for a struct with named fields")),
    }
}

fn implement_batch_resolve(object: &Type, fields: &[BatchedField], record: Option<&Expr>) -> TokenStream {
    let record_dependencies = record.map(|record| {
        quote! {
            fn record_dependencies(
                &self,
                recorder: &crate::infra::cache::CacheRecorder,
                context: &crate::graphql::context::RequestContext,
            ) {
                (#record)(self, recorder, context);
            }
        }
    });
    let names: Vec<&String> = fields.iter().map(|field| &field.name).collect();
    let outputs: Vec<&Type> = fields.iter().map(|field| &field.output).collect();
    let (loads, values) = (fields.iter().map(|field| field.loads), fields.iter().map(|field| &field.values));
    quote! {
        impl crate::graphql::batched::BatchResolve for #object {
            const BATCHED_FIELDS: &'static [&'static str] = &[#(#names),*];

            #record_dependencies

            fn type_name() -> ::std::borrow::Cow<'static, str> {
                <Self as ::async_graphql::OutputType>::type_name()
            }

            fn supports(name: &str, selection: crate::graphql::batched::Selection<'_>) -> bool {
                match name {
                    #(#names => selection.is_supported::<<#outputs as crate::graphql::batched::BatchOutput>::Object>(),)*
                    _ => false,
                }
            }

            fn loads(name: &str, selection: crate::graphql::batched::Selection<'_>) -> bool {
                match name {
                    #(#names =>
                        #loads || selection.loads::<<#outputs as crate::graphql::batched::BatchOutput>::Object>(),)*
                    _ => false,
                }
            }

            fn resolve_field<'a>(
                objects: &'a [&'a Self],
                field: crate::graphql::batched::FieldContext<'a>,
            ) -> crate::graphql::batched::FieldValues<'a> {
                match field.field.name() {
                    #(#names => #values,)*
                    _ => crate::graphql::batched::FieldValues::Ready(Vec::new()),
                }
            }
        }
    }
}

fn implement_select_columns(object: &Type, fields: &[BatchedField], column_type: &Expr) -> TokenStream {
    let (names, columns) = (fields.iter().map(|field| &field.name), fields.iter().map(|field| &field.columns));
    quote! {
        impl crate::graphql::batched::SelectColumns for #object {
            type Column = #column_type;
            const ID: Self::Column = #column_type::Id;

            fn field_columns(
                name: &str,
                selection: crate::graphql::batched::Selection<'_>,
            ) -> crate::catalog::projection::ColumnSet<Self::Column> {
                let _ = selection;
                match name {
                    #(#names => #columns,)*
                    _ => crate::catalog::projection::ColumnSet::ALL,
                }
            }
        }
    }
}
