//! Putting things into a shop without a file.

use chrono::TimeDelta;
use savannah::{
    catalog::{self, ProductDraft, VariantDraft, category::Book, save::Saved},
    exchange::generate::Generator,
    infra::Db,
    inventory,
};

use super::{Backend, Shop, model::Thing, moment};

/// How many products the stocked shop has, on sale or not, and in how many categories.
const PRODUCTS: usize = 300;
const CATEGORIES: u64 = 40;
/// How many of them come at one moment.
const AT_ONCE: usize = 25;

impl Shop {
    /// Saves products with their stock.
    pub async fn shelve(&self, drafts: &[ProductDraft]) -> Saved {
        let currency = self.app.shared.config.shop.currency;
        let write = self.db.write(async |tx| {
            let saved = catalog::save(tx, currency, drafts).await?;
            let counts: Vec<_> = saved.variants.iter().filter_map(|(key, stock)| Some((*key, (*stock)?))).collect();
            inventory::set_on_hand(tx, &counts).await?;
            Ok(saved)
        });
        let saved = write.await.unwrap_or_else(|why| panic!("not saved: {}", why.log()));
        assert_eq!(saved.refused, []);
        self.tick().await;
        saved
    }

    /// Makes categories, with all that is missing above them.
    pub async fn plant(&self, paths: impl Iterator<Item = Vec<String>>) {
        plant(&self.db, paths).await;
        self.tick().await;
    }

    /// The ids of all categories by path.
    pub async fn categories(&self) -> Vec<(String, Vec<String>)> {
        let answer = self.ask("{ categories { id name descendants { id name ancestors { name } } } }").await;
        let mut all = Vec::new();
        for root in answer.at("/categories").as_array().expect("a list") {
            for one in std::iter::once(root).chain(root["descendants"].as_array().expect("a list")) {
                let above = one["ancestors"].as_array().into_iter().flatten();
                let path = above.chain([one]).map(|one| one["name"].as_str().expect("a name").to_owned());
                all.push((one["id"].as_str().expect("an id").to_owned(), path.collect()));
            }
        }
        all
    }

    /// The database as another process sees it.
    pub async fn elsewhere(&self) -> Db {
        Db::open(&self.app.shared.config.database, self.clock.clone()).await.expect("a database")
    }

    /// A shop with a varied catalog, and the same as a model.
    pub async fn stocked(backend: Backend) -> (Self, Vec<Thing>) {
        let shop = Self::open(backend).await;
        let generator = Generator::new(PRODUCTS as u64, CATEGORIES, 2);
        shop.plant((0..CATEGORIES).map(|number| generator.category(number))).await;
        let drafts: Vec<_> = (0..PRODUCTS).map(|place| vary(place, generator.product(place as u64))).collect();
        let mut made = Vec::new();
        for batch in drafts.chunks(AT_ONCE) {
            // Some moments have no fraction, some three digits, some six: all must sort as time does.
            let at = moment("2026-11-01T09:00:00Z") + TimeDelta::microseconds([0, 250_000, 250_001][made.len() % 3]);
            let at = at + TimeDelta::seconds(i64::try_from(made.len() / 3).expect("few"));
            shop.clock.set(at);
            shop.shelve(batch).await;
            made.push(at);
        }
        let later = moment("2026-11-01T11:00:00Z");
        shop.clock.set(later);
        let again: Vec<_> = drafts.iter().step_by(10).cloned().map(retouch).collect();
        shop.shelve(&again).await;
        let things = drafts.into_iter().enumerate().map(|(place, draft)| {
            let (draft, updated) =
                if place % 10 == 0 { (retouch(draft), later) } else { (draft, made[place / AT_ONCE]) };
            Thing::of(place, &draft, (made[place / AT_ONCE], updated), later)
        });
        (shop, things.filter(|thing| thing.active).collect())
    }
}

/// The same through any handle.
pub async fn plant(db: &Db, paths: impl Iterator<Item = Vec<String>>) {
    let all = db.write(async |tx| {
        let mut book = Book::open(tx).await?;
        for path in paths.filter(|path| !path.is_empty()) {
            book.ensure(&path).await?;
        }
        book.close().await
    });
    all.await.unwrap_or_else(|why| panic!("not planted: {}", why.log()));
}

/// What the generator alone would not bring: ties, missing makers, accents, stock that nobody counts.
fn vary(place: usize, mut draft: ProductDraft) -> ProductDraft {
    if place.is_multiple_of(7) {
        draft.vendor = None;
    }
    if place.is_multiple_of(5) {
        draft.featured = Some(true);
    }
    if place % 12 == 1 {
        draft.name = Some("Café Crème".into());
    } else if place % 12 == 2 {
        draft.name = draft.name.map(|name| format!("Ünder {name}"));
    } else if place % 12 == 3 {
        draft.name = draft.name.map(|name| name.to_uppercase());
        draft.vendor = draft.vendor.map(|vendor| vendor.to_uppercase());
    }
    if place.is_multiple_of(8) {
        draft.variants.iter_mut().for_each(|variant| variant.stock = Some(0));
    }
    if place.is_multiple_of(17) {
        draft.variants.iter_mut().for_each(|variant| variant.stock = None);
    }
    draft
}

/// A change that moves only the time of the last change.
fn retouch(draft: ProductDraft) -> ProductDraft {
    let tags = draft.tags.into_iter().flatten().chain(["retouched".to_owned()]).collect();
    ProductDraft { tags: Some(tags), ..draft }
}

/// A simple product, in stock, with the sku `SLUG`.
pub fn simple(slug: &str, name: &str, price: i64) -> ProductDraft {
    let variant = VariantDraft {
        sku: Some(slug.to_uppercase()),
        price: Some(price.into()),
        stock: Some(5),
        ..VariantDraft::default()
    };
    ProductDraft {
        slug: slug.into(),
        name: Some(name.into()),
        category: Some(vec!["Things".into()]),
        variants: vec![variant],
        ..ProductDraft::default()
    }
}
