//! Objects that are resolved in batches.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Fields, ImplItem, ItemImpl, Meta, MetaNameValue, Result, Token, Type,
    parse::Parser, punctuated::Punctuated,
};

use crate::{
    columns::ObjectRow,
    field::{BatchedField, reject_dynamic_options, to_camel_case},
};

/// Expands `#[batched_object]`.
pub fn expand_object(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(arguments)?;
    let object: ItemImpl = syn::parse2(item)?;
    reject_object_options(&object.attrs)?;
    let argument = |name: &str| {
        arguments.iter().find(|argument| argument.path.is_ident(name)).map(|argument| argument.value.clone())
    };
    let row = match (argument("columns"), argument("row")) {
        (Some(column_type), Some(row)) => Some(ObjectRow { column_type, row }),
        (None, None) => None,
        _ => return Err(Error::new_spanned(&object.self_ty, "give both: `columns = entity::Column, row = self.0`")),
    };
    let (mut resolvers, mut fields) = (Vec::new(), Vec::new());
    for item in &object.items {
        match item {
            ImplItem::Fn(method) if method.sig.asyncness.is_none() => {
                let field = BatchedField::from_method(method, row.as_ref())?;
                resolvers.push(field.resolver.clone());
                fields.push(field);
            }
            item => resolvers.push(quote!(#item)),
        }
    }
    let (attributes, ty) = (&object.attrs, &object.self_ty);
    let functions = fields.iter().map(|field| &field.function);
    let batch = generate_batch_resolve(
        ty,
        fields.iter().map(|field| {
            let output = field.output_type();
            (field.name.clone(), quote!(#output), field.values.clone())
        }),
    );
    let columns = row.map(|row| generate_select_columns(ty, &fields, &row.column_type));
    Ok(quote! {
        #(#attributes)*
        impl #ty {
            #(#resolvers)*
        }

        impl #ty {
            #(#functions)*
        }

        #batch
        #columns
    })
}

/// Expands `#[derive(BatchedObject)]`.
pub fn expand_struct(item: TokenStream) -> Result<TokenStream> {
    let object: DeriveInput = syn::parse2(item)?;
    let Data::Struct(syn::DataStruct { fields: Fields::Named(fields), .. }) = &object.data else {
        return Err(Error::new_spanned(&object.ident, "a simple object is a struct with named fields"));
    };
    let mut batched_fields = Vec::new();
    for field in &fields.named {
        reject_dynamic_options(&field.attrs)?;
        let (name, ty) = (&field.ident, &field.ty);
        let values = quote!(field.render(objects.iter().map(|object| object.#name.clone())));
        batched_fields.push((to_camel_case(&quote!(#name)), quote!(#ty), values));
    }
    let name = &object.ident;
    Ok(generate_batch_resolve(&syn::parse2(quote!(#name))?, batched_fields.into_iter()))
}

/// Generates `BatchResolve` from the name, the type and the values of each field.
fn generate_batch_resolve(ty: &Type, fields: impl Iterator<Item = (String, TokenStream, TokenStream)>) -> TokenStream {
    let (mut names, mut supports, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (name, output, value) in fields {
        supports.push(quote! {
            #name => selection.is_supported::<<#output as crate::graphql::batched::BatchOutput>::Object>()
        });
        values.push(quote!(#name => #value));
        names.push(name);
    }
    quote! {
        impl crate::graphql::batched::BatchResolve for #ty {
            const BATCHED_FIELDS: &'static [&'static str] = &[#(#names),*];

            fn type_name() -> ::std::borrow::Cow<'static, str> {
                <Self as ::async_graphql::OutputType>::type_name()
            }

            fn supports(name: &str, selection: crate::graphql::batched::Selection<'_>) -> bool {
                match name {
                    #(#supports,)*
                    _ => false,
                }
            }

            fn resolve_field<'a>(
                objects: &'a [&'a Self],
                field: crate::graphql::batched::FieldContext<'a>,
            ) -> crate::graphql::batched::FieldValues<'a> {
                match field.name() {
                    #(#values,)*
                    _ => crate::graphql::batched::FieldValues::Ready(::std::vec::Vec::new()),
                }
            }
        }
    }
}

/// Generates `SelectColumns` from the columns of each field.
fn generate_select_columns(ty: &Type, fields: &[BatchedField], column_type: &Expr) -> TokenStream {
    let arms = fields.iter().map(|field| {
        let (name, columns) = (&field.name, &field.columns);
        quote!(#name => #columns)
    });
    quote! {
        impl crate::graphql::batched::SelectColumns for #ty {
            type Column = #column_type;
            const ID: Self::Column = #column_type::Id;

            fn field_columns(
                name: &str,
                selection: crate::graphql::batched::Selection<'_>,
            ) -> crate::catalog::projection::ColumnSet<Self::Column> {
                let _ = selection;
                match name {
                    #(#arms,)*
                    _ => crate::catalog::projection::ColumnSet::ALL,
                }
            }
        }
    }
}

/// Rejects options of `#[Object(…)]` other than the name, such as a guard of all fields.
fn reject_object_options(attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("Object")) {
        let Meta::List(list) = &attribute.meta else { continue };
        let options = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        if let Some(option) = options.iter().find(|option| !option.path().is_ident("name")) {
            return Err(Error::new_spanned(option, "batches do not apply this option"));
        }
    }
    Ok(())
}
