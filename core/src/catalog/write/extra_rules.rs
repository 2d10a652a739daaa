//! The rules of the content of a variant, and of the texts for search engines.

use super::{
    input::{ProductPatch, VariantPatch},
    validate::FieldRules,
};
use crate::{
    base::Patch,
    catalog::{entity::variant, measure},
};

/// Maximum length of a title for search engines in characters.
pub(in crate::catalog) const MAX_SEO_TITLE_LENGTH: usize = 200;
/// Maximum length of a description for search engines in characters.
pub(in crate::catalog) const MAX_SEO_DESCRIPTION_LENGTH: usize = 500;

/// Title and description of a product for search engines in the input; an empty text clears it.
#[derive(Debug, Default)]
pub(super) struct SeoPatch {
    pub(super) title: Patch,
    pub(super) description: Patch,
}

impl FieldRules<'_> {
    /// Applies the content of a variant. Repair mode leaves out an invalid one.
    pub(super) fn apply_content(&mut self, row: &mut variant::Model, patch: &VariantPatch) {
        let VariantPatch { content_quantity, content_unit, .. } = patch;
        if content_quantity.is_unchanged() && content_unit.is_unchanged() {
            return;
        }
        content_unit.apply_to(&mut row.content_unit);
        match content_quantity {
            Patch::Unchanged => {}
            Patch::Clear => row.content_quantity = None,
            Patch::Set(quantity) => {
                row.content_quantity = measure::quantity_from_decimal(*quantity);
                if row.content_quantity.is_none() && self.is_strict() {
                    let message = "a quantity is above 0, at most 1000000000, and has at most three decimals";
                    self.scope.at("content").reject("quantity", message);
                }
            }
        }
        if row.content_quantity.is_some() != row.content_unit.is_some() {
            if !self.is_strict() {
                self.warnings.push("the content needs a quantity and a unit and was left out".into());
            }
            (row.content_quantity, row.content_unit) = (None, None);
        }
    }

    /// Checks the texts for search engines. Repair mode shortens long ones.
    pub(super) fn check_seo(&mut self, patch: &ProductPatch) -> SeoPatch {
        SeoPatch {
            title: self.check_seo_text("title", &patch.seo_title, MAX_SEO_TITLE_LENGTH),
            description: self.check_seo_text("description", &patch.seo_description, MAX_SEO_DESCRIPTION_LENGTH),
        }
    }

    fn check_seo_text(&mut self, field: &str, patch: &Patch, max_chars: usize) -> Patch {
        let checked = patch.as_ref().map(|text| {
            if self.is_strict() {
                return self.scope.at("seo").text(field, text, max_chars);
            }
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if text.chars().count() > max_chars {
                self.warnings.push(format!("the SEO {field} is longer than {max_chars} characters and was shortened"));
            }
            text.chars().take(max_chars).collect()
        });
        match checked {
            Patch::Set(text) if text.is_empty() => Patch::Clear,
            checked => checked,
        }
    }
}
