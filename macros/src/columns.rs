//! Columns of a row: which ones code reads, and how each is read from a query result.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Block, DeriveInput, Expr, ExprField, ExprPath, Macro, Member, Result,
    visit::{self, Visit},
};

use crate::object::named_fields;

/// Row of an object.
pub struct ObjectRow {
    /// `Column` of the entity.
    pub column_type: Expr,
    /// Expression of the row: `self.0`.
    pub row: Expr,
}

impl ObjectRow {
    /// Returns the `ColumnSet` that a function and the key of its load read.
    pub fn column_set(&self, function: &Block, key: Option<&Expr>) -> TokenStream {
        let mut visitor = RowFieldVisitor { row: &self.row, columns: Vec::new(), uses_object: false };
        visitor.visit_block(function);
        if let Some(key) = key {
            visitor.visit_expr(key);
        }
        if visitor.uses_object {
            return quote!(crate::catalog::projection::ColumnSet::ALL);
        }
        let (column_type, columns) = (&self.column_type, visitor.columns);
        quote!(crate::catalog::projection::ColumnSet::from([#(#column_type::#columns),*]))
    }
}

/// Collects the columns of the row's fields that code names.
struct RowFieldVisitor<'a> {
    row: &'a Expr,
    columns: Vec<Ident>,
    /// Whether the code may use `self` in another way.
    uses_object: bool,
}

impl<'ast> Visit<'ast> for RowFieldVisitor<'_> {
    fn visit_expr_field(&mut self, field: &'ast ExprField) {
        match &field.member {
            Member::Named(name) if *field.base == *self.row => self.columns.push(column_name(name)),
            _ => visit::visit_expr_field(self, field),
        }
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.uses_object |= path.path.is_ident("self");
    }

    fn visit_macro(&mut self, _: &'ast Macro) {
        self.uses_object = true;
    }
}

/// Returns the name of a field's column in the entity's `Column`: `SalePrice`.
fn column_name(field: &Ident) -> Ident {
    format_ident!("{}", field.to_string().to_upper_camel_case(), span = field.span())
}

/// Expands `#[derive(ReadColumn)]`.
pub fn expand_read_column(item: TokenStream) -> Result<TokenStream> {
    let model: DeriveInput = syn::parse2(item)?;
    let arms = named_fields(&model)?.iter().filter_map(|field| field.ident.as_ref()).map(|field| {
        let column = column_name(field);
        quote!(Column::#column => self.#field = row.try_get_by(index)?)
    });
    let name = &model.ident;
    Ok(quote! {
        impl crate::catalog::projection::ReadColumn for #name {
            type Column = Column;

            fn read_column(&mut self, column: Column, row: &sea_orm::QueryResult, index: usize) -> Result<(), sea_orm::DbErr> {
                match column {
                    #(#arms,)*
                }
                Ok(())
            }
        }
    })
}
