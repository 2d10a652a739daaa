use proc_macro2::TokenStream;
use quote::quote;

use crate::object::{expand_object, expand_struct};

/// Returns the generated code of an object with the row `self.0`, without spaces, or the error.
fn expand(object: TokenStream) -> Result<String, String> {
    let code = expand_object(quote!(columns = product::Column, row = self.0), object);
    code.map(|code| code.to_string().replace(' ', "")).map_err(|error| error.to_string())
}

#[test]
fn guarded_field_without_async_does_not_compile() {
    let guarded = [
        quote!(impl Product { #[graphql(guard = "Staff")] fn name(&self) -> &str { &self.0.name } }),
        quote!(impl Product { #[graphql(complexity = "5", guard = "Staff")] fn name(&self) -> &str { &self.0.name } }),
        quote!(impl Product { #[graphql(directive = "d")] fn name(&self) -> &str { &self.0.name } }),
        quote!(impl Product { fn name(&self, #[graphql(validator(maximum = 5))] size: i32) -> i32 { size } }),
        quote!(
            #[Object(guard = "Staff")]
            impl Product {
                fn name(&self) -> &str {
                    &self.0.name
                }
            }
        ),
    ];
    for object in guarded {
        let error = expand(object.clone()).expect_err("an error");
        assert!(error.contains("batches do not apply this option"), "{object}: {error}");
    }
    let guarded_struct = quote!(
        struct Image {
            #[graphql(guard = "Staff")]
            url: String,
        }
    );
    expand_struct(guarded_struct).expect_err("an error");
}

#[test]
fn async_field_is_left_to_the_executor() {
    let code = expand(quote! {
        impl Product {
            #[graphql(guard = "Staff")]
            async fn cost(&self) -> i64 { self.0.cost }
        }
    });
    let code = code.expect("code");
    assert!(code.contains("asyncfncost(&self)"), "{code}");
    assert!(code.contains("BATCHED_FIELDS:&'static[&'staticstr]=&[]"), "{code}");
}

#[test]
fn columns_are_those_that_the_function_and_its_key_read() {
    let expected_columns = [
        (
            quote!(
                fn name(&self) -> &str {
                    &self.0.name
                }
            ),
            "from([product::Column::Name])",
        ),
        (
            quote!(
                fn on_sale(&self) -> bool {
                    self.0.sale_price.is_some_and(|sale| sale < self.0.price)
                }
            ),
            "from([product::Column::SalePrice,product::Column::Price])",
        ),
        (
            quote!(
                fn tags(&self, #[load(TagsOf(self.0.id))] tags: Tags) -> Tags {
                    tags
                }
            ),
            "from([product::Column::Id])",
        ),
        (
            quote!(
                fn currency(&self) -> Currency {
                    KES
                }
            ),
            "from([])",
        ),
        // What else the row or the object is used for is unknown.
        (
            quote!(
                fn copy(&self) -> Model {
                    self.0.clone()
                }
            ),
            "ALL",
        ),
        (
            quote!(
                fn copy(&self) -> Model {
                    Self::convert(self)
                }
            ),
            "ALL",
        ),
        (
            quote!(
                fn label(&self) -> String {
                    format!("{}", self.0.name)
                }
            ),
            "ALL",
        ),
        (
            quote!(
                #[columns(ColumnSet::EMPTY)]
                fn copy(&self) -> Model {
                    self.0.clone()
                }
            ),
            "ColumnSet::EMPTY,_=>",
        ),
    ];
    for (field, columns) in expected_columns {
        let code = expand(quote!(impl Product { #field })).expect("code");
        let (_, arms) = code.split_once("fnfield_columns").expect("the columns of fields");
        let (_, arm) = arms.split_once("\"=>").expect("a field");
        assert!(
            arm.trim_start_matches("crate::catalog::projection::ColumnSet::").starts_with(columns),
            "{field}: {arm}"
        );
    }
}

#[test]
fn field_with_a_load_can_fail() {
    let code = expand(quote!(impl Product { fn tags(&self, #[load(TagsOf(self.0.id))] tags: Tags) -> Tags { tags } }));
    let code = code.expect("code");
    assert!(
        code.contains("asyncfntags(&self,ctx:&::async_graphql::Context<'_>,)->crate::base::Result<Tags>"),
        "{code}"
    );
    let two = quote!(impl Product { fn both(&self, #[load(A)] a: A, #[load(B)] b: B) -> A { a } });
    assert!(expand(two).expect_err("an error").contains("at most one load"));
    let next_only = quote!(impl Product { fn next(&self, #[load_next(A)] a: A) -> A { a } });
    assert!(expand(next_only).expect_err("an error").contains("follows one load"));
}

#[test]
fn function_takes_only_what_it_reads() {
    let code = expand(quote!(impl Product { fn currency(&self) -> Currency { KES } })).expect("code");
    assert!(code.contains("fnbatched_currency()->Currency"), "{code}");
    assert!(code.contains("Self::batched_currency()"), "{code}");
    let code = expand(quote!(impl Product { fn tags(&self, #[load(TagsOf(self.0.id))] tags: Tags) -> Tags { tags } }));
    let code = code.expect("code");
    assert!(code.contains("fnbatched_tags(tags_parameter:Tags)->Tags{lettags=tags_parameter;tags}"), "{code}");
}
