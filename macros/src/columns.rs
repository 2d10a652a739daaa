//! Columns of a row: which ones an expression reads, and how each is read from a query result.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Block, Data, DeriveInput, Error, Expr, ExprField, ExprPath, Fields, Macro, Member, Result,
    visit::{self, Visit},
};

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
        let mut visitor = RowFieldVisitor { row: &self.row, fields: Vec::new(), uses_object: false };
        visitor.visit_block(function);
        if let Some(key) = key {
            visitor.visit_expr(key);
        }
        if visitor.uses_object {
            return quote!(crate::catalog::projection::ColumnSet::ALL);
        }
        let (column_type, columns) = (&self.column_type, visitor.fields.iter().map(column_name));
        quote!(crate::catalog::projection::ColumnSet::from([#(#column_type::#columns),*]))
    }
}

/// Collects the fields of the row that code reads.
struct RowFieldVisitor<'a> {
    row: &'a Expr,
    fields: Vec<Ident>,
    /// Whether the code uses `self` other than for fields of the row.
    uses_object: bool,
}

impl<'ast> Visit<'ast> for RowFieldVisitor<'_> {
    fn visit_expr_field(&mut self, field: &'ast ExprField) {
        match &field.member {
            Member::Named(name) if *field.base == *self.row => self.fields.push(name.clone()),
            _ => visit::visit_expr_field(self, field),
        }
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.uses_object |= path.path.is_ident("self");
    }

    fn visit_macro(&mut self, macro_call: &'ast Macro) {
        self.uses_object |= contains_self(macro_call.tokens.clone());
    }
}

fn contains_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Group(group) => contains_self(group.stream()),
        token => token.to_string() == "self",
    })
}

/// Returns the name of a field's column in the entity's `Column`: `SalePrice`.
fn column_name(field: &Ident) -> Ident {
    let name = field.to_string();
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    format_ident!("{}", words.collect::<String>(), span = field.span())
}

/// Generates `ReadColumn` for the `Model` of an entity.
pub fn expand_read_column(item: TokenStream) -> Result<TokenStream> {
    let model: DeriveInput = syn::parse2(item)?;
    let Data::Struct(syn::DataStruct { fields: Fields::Named(fields), .. }) = &model.data else {
        return Err(Error::new_spanned(&model.ident, "the model of an entity is a struct with named fields"));
    };
    let (name, fields) = (&model.ident, fields.named.iter().filter_map(|field| field.ident.as_ref()));
    let arms = fields.map(|field| {
        let column = column_name(field);
        quote!(Column::#column => self.#field = row.try_get_by(index)?)
    });
    Ok(quote! {
        impl crate::catalog::projection::ReadColumn for #name {
            type Column = Column;

            fn read_column(
                &mut self,
                column: Column,
                row: &::sea_orm::QueryResult,
                index: usize,
            ) -> ::std::result::Result<(), ::sea_orm::DbErr> {
                match column {
                    #(#arms,)*
                }
                Ok(())
            }
        }
    })
}
