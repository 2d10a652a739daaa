//! One edit laid over the product that is there: what was said changes, everything that is wrong is told. No I/O.

use super::{Desk, ProductEdit, Which, variant};
use crate::{
    base::{
        error::{Code, Problem},
        text,
    },
    catalog::{
        draft::{ImageDraft, ProductDraft, Status},
        entity::product,
        lay::{self, NAME_LIMIT, Setting, WORD_LIMIT},
        merge::{Merged, Parts},
        price,
        wrong::{Wrong, at},
    },
};

/// The longest slug that is made of a name, and the longest that may be said.
const SLUG_LIMITS: (usize, usize) = (80, 200);
/// The last number that is put behind a slug that is taken.
const LAST_NUMBER: u32 = 20;
/// The most tags, pictures, and variants in one edit.
const LIST_LIMIT: usize = 100;
/// The longest address of a picture, and the longest description of one.
const IMAGE_LIMITS: (usize, usize) = (2_000, 500);
/// The longest description, in bytes.
const DESCRIPTION_LIMIT: usize = 200_000;

/// The slugs that a product of this name may get, the best first.
pub(super) fn slug_tries(name: &str) -> impl Iterator<Item = String> {
    let made = text::slug(name, SLUG_LIMITS.0);
    let own = if made.is_empty() { "product".to_owned() } else { made };
    std::iter::once(own.clone()).chain((2..=LAST_NUMBER).map(move |number| format!("{own}-{number}")))
}

impl Desk {
    /// The product as it will be, with what is to be written of its parts.
    pub(super) fn fit(&mut self, edit: &ProductEdit) -> Result<(ProductDraft, Merged), Vec<Problem>> {
        let before = self.meant(edit)?;
        let mut wrong = Wrong::default();
        let mut draft = texts(edit, before.is_none(), &mut wrong);
        draft.slug = self.slug(edit, before.as_ref(), &mut wrong);
        let category = self.category(edit, before.as_ref(), &mut wrong);
        let variants = variant::Variants::fit(self, edit, before.as_ref(), &mut wrong);
        wrong.version(edit.expected.as_ref(), before.as_ref().map_or(0, |before| before.version));
        let variant::Variants { there, rows, options, renamed, said, drafts, skus } = variants;
        draft.variants = drafts;
        let Some(derived) = price::derive(&rows, self.now) else {
            wrong.settle()?;
            return Err(Vec::new());
        };
        wrong.settle()?;

        let is_new = before.is_none();
        let mut base = before.clone().unwrap_or_else(|| lay::blank_product(&draft.slug, self.now));
        base.slug.clone_from(&draft.slug);
        if edit.images.as_ref().is_some_and(Vec::is_empty) {
            base.image = None;
        }
        let deleted_at = edit.deleted.map_or(base.deleted_at, |gone| gone.then_some(self.now));
        let untracked = said.iter().any(|said| !rows[said.place].track_stock && rows[said.place].deleted_at.is_none());
        let setting = Setting { category, currency: self.currency, now: self.now };
        let product = product::Model { deleted_at, ..lay::product(&draft, base, &setting, (derived, untracked)) };
        let parts = Parts { options: renamed, images: edit.images.is_some(), ..Parts::default() };
        let (told, variants_before) = (Vec::new(), there);
        let mut merged =
            Merged { is_new, product, variants: rows, said, options, parts, told, before, variants_before };
        self.taken.extend((!is_new).then_some(merged.product.id));
        self.slugs.insert(draft.slug.clone());
        self.skus.extend(skus);
        // Whether pictures were said is not yet whether they differ.
        let pictures = std::mem::take(&mut merged.parts.images);
        merged.stamp(self.now);
        merged.parts.images = pictures;
        Ok((draft, merged))
    }

    /// The product that is meant; `None` when it is to be made.
    fn meant(&self, edit: &ProductEdit) -> Result<Option<product::Model>, Vec<Problem>> {
        let there = self.found.product(&edit.which).cloned();
        let gone = there.as_ref().is_some_and(|row| row.deleted_at.is_some());
        let mut wrong = Wrong::default();
        match (&edit.which, &there) {
            (Which::Key(_, path), None) => wrong.say(Code::NotFound, path, "there is no such product"),
            (Which::Key(_, path), Some(_)) if gone && edit.deleted != Some(false) => {
                wrong.say(Code::NotFound, path, "there is no such product");
            }
            (Which::OfVariant(_, path), there) if gone || there.is_none() => {
                wrong.say(Code::NotFound, path, "there is no such variant");
            }
            (Which::Named(slug, _), Some(_)) if gone => {
                let path = at(&edit.path, if slug.is_some() { "slug" } else { "sku" });
                let message = "a product that was deleted has it: restore that one first, or use another";
                wrong.say(Code::AlreadyExists, &path, message);
            }
            (_, Some(row)) if self.taken.contains(&row.id) => {
                wrong.input(&edit.path, "this product is said twice: say all of it in one place");
            }
            _ => {}
        }
        wrong.settle()?;
        Ok(there)
    }

    /// The slug that was said, the one that is there, or one made of the name.
    fn slug(&self, edit: &ProductEdit, before: Option<&product::Model>, wrong: &mut Wrong) -> String {
        let named = match &edit.which {
            Which::Named(Some(slug), _) if before.is_none() => Some(slug),
            _ => None,
        };
        let path = at(&edit.path, "slug");
        let Some(said) = edit.slug.as_ref().or(named) else {
            if let Some(before) = before {
                return before.slug.clone();
            }
            let free = |slug: &String| self.found.of_slug(slug).is_none() && !self.slugs.contains(slug);
            let made = slug_tries(edit.name.as_deref().unwrap_or_default()).find(free);
            return made.unwrap_or_else(|| {
                wrong.say(Code::AlreadyExists, &path, "every slug that could be made of the name is taken: say one");
                String::new()
            });
        };
        if before.is_some_and(|before| before.slug == *said) {
            return said.clone();
        }
        check_slug(&path, said, wrong);
        let taken = self.found.of_slug(said).is_some_and(|owner| before.is_none_or(|before| before.id != owner));
        if taken || self.slugs.contains(said) {
            wrong.say(Code::AlreadyExists, &path, format!("another product has the slug `{said}`"));
        }
        said.clone()
    }

    /// The category it is to lie in, where that changes.
    fn category(&self, edit: &ProductEdit, before: Option<&product::Model>, wrong: &mut Wrong) -> Option<i64> {
        if let Some(key) = edit.category {
            if !self.found.has_category(key) {
                wrong.say(Code::NotFound, &at(&edit.path, "categoryId"), "there is no such category");
            }
            return Some(key);
        }
        let restored = before.filter(|before| edit.deleted == Some(false) && before.deleted_at.is_some());
        if restored.is_some_and(|row| !self.found.has_category(row.category_id)) {
            wrong.say(Code::IllegalTransition, "id", "its category was deleted: restore that first");
        }
        before.is_none().then_some(self.unsorted)
    }
}

/// Whether a slug can stand in an address as it is.
pub(in crate::catalog) fn check_slug_text(slug: &str) -> Result<(), String> {
    let fits = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_' | '.');
    if slug.is_empty() || slug.chars().count() > SLUG_LIMITS.1 || !slug.chars().all(fits) {
        let limit = SLUG_LIMITS.1;
        return Err(format!("a slug has 1 to {limit} small letters, digits, and `-`, `_` or `.` between them"));
    }
    Ok(())
}

fn check_slug(path: &str, slug: &str, wrong: &mut Wrong) {
    if let Err(why) = check_slug_text(slug) {
        wrong.input(path, why);
    }
}

/// What is said of the product itself, checked.
fn texts(edit: &ProductEdit, is_new: bool, wrong: &mut Wrong) -> ProductDraft {
    let path = |field: &str| at(&edit.path, field);
    let name = edit.name.as_ref().map(|name| wrong.text(&path("name"), name, NAME_LIMIT));
    if name.as_ref().map_or(is_new, |name| text::key(name).is_empty()) {
        wrong.input(&path("name"), "a product needs a name with a letter or a sign that can be seen");
    }
    if edit.description.as_ref().is_some_and(|html| html.len() > DESCRIPTION_LIMIT) {
        wrong.input(&path("description"), format!("a description has at most {DESCRIPTION_LIMIT} bytes"));
    }
    let control = |c: char| c.is_control() && !c.is_whitespace();
    let vendor = edit.vendor.as_ref().map(|vendor| wrong.text(&path("vendor"), vendor, WORD_LIMIT));
    let tags = edit.tags.as_ref().map(|tags| {
        wrong.count(&path("tags"), tags.len(), LIST_LIMIT);
        let tag = |(number, tag): (usize, &String)| wrong.text(&path(&format!("tags.{number}")), tag, WORD_LIMIT);
        tags.iter().enumerate().map(tag).collect()
    });
    wrong.count(&path("variants"), edit.variants.len(), LIST_LIMIT);
    ProductDraft {
        name,
        description_html: edit.description.as_ref().map(|html| html.replace(control, "")),
        vendor,
        tags,
        status: edit.status.or(is_new.then_some(Status::Draft)),
        featured: edit.featured,
        images: images(edit, wrong),
        ..ProductDraft::default()
    }
}

fn images(edit: &ProductEdit, wrong: &mut Wrong) -> Vec<ImageDraft> {
    let images = edit.images.as_deref().unwrap_or_default();
    wrong.count(&at(&edit.path, "images"), images.len(), LIST_LIMIT);
    let image = |(number, image): (usize, &ImageDraft)| {
        let path = |field: &str| at(&edit.path, &format!("images.{number}.{field}"));
        let url = wrong.text(&path("url"), &image.url, IMAGE_LIMITS.0);
        if url.is_empty() {
            wrong.input(&path("url"), "a picture needs an address");
        }
        let alt = image.alt.as_ref().map(|alt| wrong.text(&path("alt"), alt, IMAGE_LIMITS.1));
        ImageDraft { url, alt: alt.filter(|alt| !alt.is_empty()) }
    };
    images.iter().enumerate().map(image).collect()
}
