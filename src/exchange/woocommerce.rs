//! Reads `WooCommerce`'s product export, in which a variation is a row of its own and may stand far from its parent.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::Read;
use std::mem;

use rust_decimal::Decimal;

use super::cell::{Prices, UNITS, list, parts, plain, price, stock, truth, unescaped, weight, window, words};
use super::source::{Entry, Flaw, Row, Rows};
use crate::catalog::{ImageDraft, ProductDraft, Sale, Status, VariantDraft};

/// The columns taken from a row in which a line break is a mistake.
pub(super) const ONE_LINE: &str = "ID|Type|SKU|GTIN, UPC, EAN, or ISBN|Name|Published|Is featured?|Brands|Stock|Parent|\
    Date sale price starts|Date sale price ends|Sale price|Regular price|Categories|Tags|Images";

type Taken = Result<(), String>;

/// Parents without a variation and variations without a parent that are kept in memory.
const HELD_AT_MOST: usize = 100_000;

/// The products of a file, as they are asked for.
pub(super) struct Products<R> {
    rows: Rows<R>,
    gathered: Gathered,
}

#[derive(Default)]
struct Gathered {
    /// Whose each slug is, by SKU or id.
    slugs: HashMap<String, String>,
    parents: Vec<Parent>,
    /// The place of a parent among them, by SKU and by `id:7`.
    known: HashMap<String, usize>,
    /// Variations whose parent has not come yet.
    orphans: HashMap<String, Vec<Variation>>,
    /// Parents whose rows were refused: nothing more is said of their variations.
    refused: HashSet<String>,
    held: usize,
    /// Variations of one parent that follow each other.
    open: Option<(usize, Vec<Variation>)>,
    ready: VecDeque<Entry>,
}

/// A variable product; once its first variations are out, only what the later ones need.
struct Parent {
    slug: String,
    attributes: Vec<String>,
    options: Vec<String>,
    waiting: Option<Box<Waiting>>,
}

/// A line, what the row on it says of the product, and the variant it is if no variation comes.
type Waiting = (u64, ProductDraft, Result<VariantDraft, String>);

struct Variation {
    /// Attributes and values.
    pairs: Vec<(String, String)>,
    variant: VariantDraft,
}

impl<R: Read> Products<R> {
    pub(super) fn new(rows: Rows<R>) -> Self {
        let gathered = Gathered::default();
        Self { rows, gathered }
    }
}

impl<R: Read> Iterator for Products<R> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.gathered.ready.is_empty() {
            match self.rows.next() {
                Some(Ok(row)) => self.gathered.take(&row),
                Some(Err(refused)) => self.gathered.refuse_row(&refused.row, refused.reason.clone()),
                None => {
                    self.gathered.settle();
                    break;
                }
            }
        }
        self.gathered.ready.pop_front()
    }
}

impl Gathered {
    fn take(&mut self, row: &Row) {
        let mut warnings = Vec::new();
        let types = list(&row.cell("Type").unwrap_or_default().to_ascii_lowercase());
        let any = |test: fn(&str) -> bool| types.iter().any(|one| test(one));
        let taken = if any(|one| one.ends_with("variation")) {
            self.vary(row, &mut warnings)
        } else if any(|one| one.starts_with("variable")) {
            self.hold(row)
        } else {
            let unpriced = any(|one| matches!(one, "grouped" | "external"));
            if !unpriced && !types.is_empty() && !any(|one| one == "simple") {
                let types = types.join(", ");
                warnings.push(format!("type \"{types}\" is taken as a simple product"));
            }
            self.single(row, unpriced, &mut warnings)
        };
        for reason in row.repairs.iter().cloned().chain(warnings) {
            self.ready.push_back(Entry::Warning { line: row.line, reason });
        }
        if let Err(reason) = taken {
            self.refuse_row(row, reason);
        }
    }

    fn refuse_row(&mut self, row: &Row, reason: String) {
        self.refused.extend(names_of(row));
        self.refuse(row.line, reason);
    }

    fn refuse(&mut self, line: u64, reason: String) {
        self.ready.push_back(Entry::Refused { line, reason });
    }

    /// A product with one variant; `unpriced` when it is of a type that may have no price of its own.
    fn single(&mut self, row: &Row, unpriced: bool, warnings: &mut Vec<String>) -> Taken {
        let free = unpriced && row.cell("Regular price") == Some("");
        let variant = variant(row, free, warnings)?;
        let mut draft = self.product(row)?;
        if free {
            draft.status = Some(Status::Draft);
            warnings.push("the product has no price, so it is a draft at price 0".into());
        }
        draft.variants.push(variant);
        let line = row.line;
        self.ready.push_back(Entry::Product { line, draft: Box::new(draft) });
        Ok(())
    }

    /// A parent, which waits for its first variation unless that came before.
    fn hold(&mut self, row: &Row) -> Taken {
        self.flush();
        self.room("products wait for their variations")?;
        let draft = self.product(row)?;
        let place = self.parents.len();
        let mut early = Vec::new();
        for key in names_of(row) {
            early.append(&mut self.orphans.remove(&key).unwrap_or_default());
            self.known.entry(key).or_insert(place);
        }
        self.held = self.held + 1 - early.len();
        let own = variant(row, false, &mut Vec::new());
        let (line, slug) = (row.line, draft.slug.clone());
        self.parents.push(Parent {
            slug,
            attributes: attributes(row).into_iter().map(|(name, _)| name).collect(),
            options: Vec::new(),
            waiting: Some(Box::new((line, draft, own))),
        });
        if !early.is_empty() {
            early.sort_by_key(|variation| variation.variant.line);
            self.open = Some((place, early));
        }
        Ok(())
    }

    fn vary(&mut self, row: &Row, warnings: &mut Vec<String>) -> Taken {
        let parent = said(row, "Parent").ok_or("the variation names no parent")?;
        let mut variant = variant(row, false, warnings)?;
        if row.said("Published").and_then(truth) == Some(false) {
            variant.stock = Some(0);
            warnings.push("the variation is not published, so its stock is taken as 0".into());
        }
        let pairs = attributes(row);
        let variation = Variation { pairs, variant };
        let Some(&place) = self.known.get(&parent) else {
            self.room("variations come before their parents")?;
            self.held += 1;
            self.orphans.entry(parent).or_default().push(variation);
            return Ok(());
        };
        if self.open.as_ref().is_some_and(|(open, _)| *open != place) {
            self.flush();
        }
        let (_, together) = self.open.get_or_insert((place, Vec::new()));
        together.push(variation);
        Ok(())
    }

    fn room(&self, who: &str) -> Taken {
        let full = || format!("too many {who}; put variations next to their parents");
        (self.held < HELD_AT_MOST).then_some(()).ok_or_else(full)
    }

    /// Hands out the variations that were gathered, the first time with all that their parent's row says.
    fn flush(&mut self) {
        let Some((place, variations)) = self.open.take() else {
            return;
        };
        let parent = &mut self.parents[place];
        let mut line = variations.first().map_or(0, |first| first.variant.line);
        let mut draft = ProductDraft::default();
        parent.slug.clone_into(&mut draft.slug);
        if let Some(waiting) = parent.waiting.take() {
            (line, draft, _) = *waiting;
            parent.options = chosen_by(&parent.attributes, &variations);
            self.held -= 1;
        }
        draft.options.clone_from(&parent.options);
        for variation in variations {
            match variation.settled(&draft.options) {
                Ok(variant) => draft.variants.push(variant),
                Err(Flaw { line, reason }) => self.refuse(line, reason),
            }
        }
        if !draft.variants.is_empty() {
            self.ready.push_back(Entry::Product { line, draft: Box::new(draft) });
        }
    }

    /// Tells what is left at the end of the file: parents without variations, variations without a parent.
    fn settle(&mut self) {
        self.flush();
        let parents = mem::take(&mut self.parents).into_iter();
        for waiting in parents.filter_map(|parent| parent.waiting) {
            let (line, mut draft, own) = *waiting;
            let Ok(own) = own else {
                let reason = "the variable product has no variations and no price";
                self.refuse(line, reason.into());
                continue;
            };
            draft.variants.push(own);
            let reason = "the variable product has no variations, so it is a simple one".into();
            self.ready.push_back(Entry::Warning { line, reason });
            self.ready.push_back(Entry::Product { line, draft: Box::new(draft) });
        }
        let mut lost = BTreeMap::new();
        let orphans = mem::take(&mut self.orphans).into_iter();
        for (parent, variations) in orphans.filter(|(parent, _)| !self.refused.contains(parent)) {
            let lines = variations.iter().map(|one| one.variant.line);
            lost.extend(lines.map(|line| (line, parent.clone())));
        }
        for (line, parent) in lost {
            let reason = format!("the file has no variable product \"{parent}\"");
            self.refuse(line, reason);
        }
    }

    fn product(&mut self, row: &Row) -> Result<ProductDraft, String> {
        let all = |column: &str| row.cell(column).map(list);
        let paths = all("Categories").unwrap_or_default();
        let mut paths = paths.iter().map(|path| parts(path, '>'));
        let category = paths.next().filter(|path| !path.is_empty());
        let leaves: Vec<String> = paths.filter_map(|mut path| path.pop()).collect();
        let tags = all("Tags").or((!leaves.is_empty()).then(Vec::new));
        let short = row.cell("Short description").or(row.cell("Description"));
        let mut images: Vec<ImageDraft> = Vec::new();
        for url in all("Images").unwrap_or_default() {
            if images.iter().all(|image| image.url != url) {
                images.push(ImageDraft { url, alt: None });
            }
        }
        let published = row.said("Published").and_then(truth);
        let description = row.said("Description").or(short).map(plain);
        Ok(ProductDraft {
            slug: self.slug(row)?,
            name: said(row, "Name"),
            description_html: description.map(|text| unescaped(&text)),
            vendor: all("Brands").map(|brands| brands.into_iter().next().unwrap_or_default()),
            category,
            tags: tags.map(|tags| tags.into_iter().chain(leaves).collect()),
            status: published.map(|yes| if yes { Status::Active } else { Status::Draft }),
            featured: row.said("Is featured?").and_then(truth),
            images,
            ..ProductDraft::default()
        })
    }

    /// The same slug for the same product on every run; another product of that name gets its SKU or id appended.
    fn slug(&mut self, row: &Row) -> Result<String, String> {
        let id = row.said("ID").map(|id| format!("id:{id}"));
        let name = said(row, "Name").unwrap_or_default();
        let owner = said(row, "SKU").or(id).unwrap_or_default();
        let marked = words(&owner);
        let base = Some(words(&name)).filter(|base| !base.is_empty());
        let base = base.unwrap_or_else(|| marked.clone());
        if base.is_empty() {
            return Err("neither name nor SKU nor ID of the row gives an address".into());
        }
        let mut slug = base.clone();
        // Without SKU and id, two products of one name cannot be told from one that comes twice.
        for n in 1_u64.. {
            match self.slugs.get(&slug) {
                None => break,
                Some(other) if *other == owner && !owner.is_empty() => return Ok(slug),
                Some(_) if n == 1 && !marked.is_empty() => slug = format!("{base}-{marked}"),
                Some(_) => slug = format!("{base}-{}", n + 1),
            }
        }
        self.slugs.insert(slug.clone(), owner);
        Ok(slug)
    }
}

impl Variation {
    /// The variant with a value for each option; one that is not said stands for whichever the shopper names.
    fn settled(self, options: &[String]) -> Result<VariantDraft, Flaw> {
        let (mut pairs, mut variant) = (self.pairs, self.variant);
        for option in options {
            let place = pairs.iter().position(|(name, _)| name == option);
            let value = place.map(|place| pairs.swap_remove(place).1);
            let value = value.filter(|value| !value.is_empty());
            variant.options.push(value.unwrap_or_else(|| "Any".into()));
        }
        let Some((name, _)) = pairs.pop() else {
            return Ok(variant);
        };
        let (line, options) = (variant.line, options.join(", "));
        let reason = format!("attribute \"{name}\" is not among the product's: {options}");
        Err(Flaw { line, reason })
    }
}

/// The attributes that tell the variations apart, in the parent's order.
fn chosen_by(order: &[String], variations: &[Variation]) -> Vec<String> {
    let named = variations.iter().flat_map(|one| &one.pairs);
    let named: Vec<&String> = named.map(|(name, _)| name).collect();
    let mut options: Vec<String> = Vec::new();
    for name in order.iter().chain(named.iter().copied()) {
        if named.contains(&name) && !options.contains(name) {
            options.push(name.clone());
        }
    }
    options
}

fn attributes(row: &Row) -> Vec<(String, String)> {
    let text = |column: String| Some(plain(row.cell(&column)?).replace("\\,", ","));
    let name = |n: u32| text(format!("Attribute {n} name"));
    let pairs = (1..).map_while(|n| Some((name(n)?, text(format!("Attribute {n} value(s)"))?)));
    pairs.filter(|(name, _)| !name.is_empty()).collect()
}

fn variant(row: &Row, free: bool, warnings: &mut Vec<String>) -> Result<VariantDraft, String> {
    let (price, sale) = prices(row, free, warnings)?;
    let mut heed = |(number, warning): (Option<i64>, Option<String>)| {
        warnings.extend(warning);
        number
    };
    let none_left = row.said("In stock?").and_then(truth) == Some(false);
    let pieces = match said(row, "Stock") {
        Some(text) if text != "parent" => heed(stock(&text)),
        _ => none_left.then_some(0),
    };
    let weigh = |(unit, grams)| Some((said(row, &format!("Weight ({unit})"))?, grams));
    let weighed = UNITS.into_iter().find_map(weigh);
    let images = row.cell("Images").map(list).unwrap_or_default();
    Ok(VariantDraft {
        line: row.line,
        sku: said(row, "SKU"),
        options: Vec::new(),
        price,
        sale,
        stock: pieces,
        weight_grams: weighed.and_then(|(text, grams)| heed(weight(&text, grams))),
        image: images.into_iter().next(),
        barcode: said(row, "GTIN, UPC, EAN, or ISBN"),
    })
}

/// The regular price and the sale; `free` lets the price be missing.
fn prices(row: &Row, free: bool, warnings: &mut Vec<String>) -> Result<Prices, String> {
    let regular = match row.cell("Regular price") {
        None => return Ok((None, None)),
        Some("") if free => Decimal::ZERO,
        Some("") => return Err("the product has no regular price".into()),
        Some(text) => price("price", &plain(text))?,
    };
    let Some(text) = said(row, "Sale price") else {
        return Ok((Some(regular), row.cell("Sale price").map(|_| None)));
    };
    let price = price("sale price", &text)?;
    if price >= regular {
        warnings.push(format!("sale price {price} is no lower than {regular}: no sale"));
        return Ok((Some(regular), Some(None)));
    }
    let date = |edge| row.said(&format!("Date sale price {edge}"));
    let [starts_at, ends_at] = window(date("starts"), date("ends"), row.zone())?;
    let sale = Sale { price, starts_at, ends_at };
    Ok((Some(regular), Some(Some(sale))))
}

/// By what variations name a product: its SKU, and `id:7`.
fn names_of(row: &Row) -> impl Iterator<Item = String> {
    said(row, "SKU").into_iter().chain(row.said("ID").map(|id| format!("id:{id}")))
}

fn said(row: &Row, column: &str) -> Option<String> {
    row.said(column).map(plain)
}

#[cfg(test)]
#[path = "tests/woocommerce.rs"]
mod tests;
