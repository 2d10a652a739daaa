//! Making one category and changing what it says.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Set};
use serde_json::{Map, Value, json};

use super::{
    CategoriesChanged, DEPTH_LIMIT, SLUG_LIMIT, check_name,
    place::{above, check_position, has_name, insert, living, renumber, siblings},
};
use crate::{
    base::{Error, GlobalId, Result, error::Code, id::Kind, text},
    catalog::{
        Expected, edit,
        entity::category,
        tree,
        wrong::{Wrong, at},
    },
    infra::{Change, Tx},
};

/// The longest text about a category.
const DESCRIPTION_LIMIT: usize = 20_000;
/// The last number that is put behind a slug that is taken.
const LAST_NUMBER: u32 = 50;

/// A category to be made.
#[derive(Debug, Clone, Default)]
pub struct NewCategory {
    /// What shoppers read.
    pub name: String,
    /// The category it lies in; `None` for a root.
    pub parent: Option<i64>,
    /// Its lasting name in addresses; made of the name where it is not said.
    pub slug: Option<String>,
    /// A text about it.
    pub description: Option<String>,
    /// Its place among its siblings; the last where it is not said.
    pub position: Option<i32>,
}

/// What is said of a category that is there. What is `None` was not said.
#[derive(Debug, Clone, Default)]
pub struct CategoryEdit {
    /// The version that its editor has seen.
    pub expected: Option<Expected>,
    /// What shoppers read.
    pub name: Option<String>,
    /// Its lasting name in addresses.
    pub slug: Option<String>,
    /// A text about it; `Some(None)` for none.
    pub description: Option<Option<String>>,
}

/// Makes a category; says its key.
///
/// # Errors
/// Everything that is wrong with it, or when the database refuses.
pub async fn create(tx: &Tx, new: NewCategory) -> Result<i64> {
    let NewCategory { name, parent, slug, description, position } = new;
    tree::lock(tx).await?;
    let mut wrong = Wrong::default();
    let path = match above(tx, parent, "input.parentId").await {
        Ok((path, level)) => {
            if level >= DEPTH_LIMIT {
                wrong.input("input.parentId", format!("a category is at most {DEPTH_LIMIT} levels deep"));
            }
            Some(path)
        }
        Err(why) => {
            for one in why.problems()? {
                wrong.say(one.code, "input.parentId", one.message);
            }
            None
        }
    };
    let named = Named { parent: path.is_some().then_some(parent), but: 0 };
    let name_key = named.name(tx, &name, &mut wrong).await?;
    let slug = match slug {
        Some(slug) => said_slug(tx, slug, 0, &mut wrong).await?,
        None => made_slug(tx, &name, &mut wrong).await?,
    };
    let description = text_of(description, &mut wrong);
    check_position(position, "input.position", &mut wrong);
    wrong.check()?;

    let key = tx.keys("category", 1).await?.next();
    let key = key.ok_or_else(|| Error::fault("numbering a category", "the database gave no key"))?;
    let mut order = siblings(tx, parent).await?;
    let last = i32::try_from(order.len()).unwrap_or(i32::MAX);
    insert(&mut order, key, position);
    let place = order.iter().position(|one| *one == key).and_then(|place| i32::try_from(place).ok()).unwrap_or(last);
    let row = category::Model {
        id: key,
        parent_id: parent,
        name: name.trim().to_owned(),
        name_key,
        slug,
        description,
        position: place,
        path: format!("{}{key}/", path.unwrap_or_else(|| "/".into())),
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
        deleted_at: None,
    };
    let told = fields(&row);
    category::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await?;
    renumber(tx, &[&order]).await?;
    tree::raise(tx).await?;
    tx.emit(CategoriesChanged { made: vec![key], ..CategoriesChanged::default() }).await?;
    let after = told.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let after = Some(Value::Object(after));
    tx.record(&[Change { action: "category.create", thing: (Kind::Category, key), before: None, after }]).await?;
    Ok(key)
}

/// Changes what a category says.
///
/// # Errors
/// Everything that is wrong with it, or when the database refuses.
pub async fn update(tx: &Tx, key: i64, edit: CategoryEdit) -> Result<()> {
    let CategoryEdit { expected, name, slug, description } = edit;
    tree::lock(tx).await?;
    let before = living(tx, key, "id").await?;
    let mut row = before.clone();
    let mut wrong = Wrong::default();
    wrong.version(expected.as_ref(), before.version);
    if let Some(name) = name {
        row.name_key = Named { parent: Some(before.parent_id), but: key }.name(tx, &name, &mut wrong).await?;
        name.trim().clone_into(&mut row.name);
    }
    if let Some(slug) = slug.filter(|slug| *slug != before.slug) {
        row.slug = said_slug(tx, slug, key, &mut wrong).await?;
    }
    if let Some(description) = description {
        row.description = text_of(description, &mut wrong);
    }
    wrong.check()?;
    if row == before {
        return Ok(());
    }
    let (was, is) = (fields(&before), fields(&row));
    let changed = |of: &Map<String, Value>| {
        let differs = of.iter().filter(|(name, _)| was.get(*name) != is.get(*name));
        Value::Object(differs.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let change = Change {
        action: "category.update",
        thing: (Kind::Category, key),
        before: Some(changed(&was)),
        after: Some(changed(&is)),
    };
    let mut active = before.into_active_model();
    active.name = Set(row.name);
    active.name_key = Set(row.name_key);
    active.slug = Set(row.slug);
    active.description = Set(row.description);
    active.version = Set(row.version + 1);
    active.updated_at = Set(tx.now());
    active.update(tx).await?;
    tree::raise(tx).await?;
    tx.emit(CategoriesChanged { changed: vec![key], ..CategoriesChanged::default() }).await?;
    tx.record(&[change]).await
}

/// Where a name must be the only one: among the children of a parent that is there.
struct Named {
    parent: edit::Said<i64>,
    but: i64,
}

impl Named {
    /// The folded name, if it can be one.
    async fn name(&self, tx: &Tx, name: &str, wrong: &mut Wrong) -> Result<String> {
        let key = text::key(name);
        let path = "input.name";
        if let Err(why) = check_name(name) {
            wrong.input(path, why.public().message);
        } else if name.trim().contains(char::is_control) {
            wrong.input(path, "a name of one line: no line breaks or other control characters");
        } else if let Some(parent) = self.parent
            && has_name(tx, parent, &key, self.but).await?
        {
            let message = format!("there is a category `{}` there already", name.trim());
            wrong.say(Code::AlreadyExists, path, message);
        }
        Ok(key)
    }
}

/// A slug as it was said, if it can be one and no other category has it.
async fn said_slug(tx: &Tx, slug: String, but: i64, wrong: &mut Wrong) -> Result<String> {
    let path = at("input", "slug");
    if let Err(why) = edit::check_slug(&slug) {
        wrong.input(&path, why);
    } else if owners(tx, std::slice::from_ref(&slug)).await?.into_iter().any(|(_, owner)| owner != but) {
        wrong.say(Code::AlreadyExists, &path, format!("another category has, or had, the slug `{slug}`"));
    }
    Ok(slug)
}

/// A slug made of the name, with a number where it is taken.
async fn made_slug(tx: &Tx, name: &str, wrong: &mut Wrong) -> Result<String> {
    let own = Some(text::slug(name, SLUG_LIMIT)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| "category".into());
    let mut tries = vec![own.clone()];
    tries.extend((2..=LAST_NUMBER).map(|number| format!("{own}-{number}")));
    let taken: HashSet<String> = owners(tx, &tries).await?.into_iter().map(|(slug, _)| slug).collect();
    let free = tries.into_iter().find(|slug| !taken.contains(slug));
    if free.is_none() {
        let message = "every slug that could be made of the name is taken: say one";
        wrong.say(Code::AlreadyExists, "input.slug", message);
    }
    Ok(free.unwrap_or(own))
}

/// Which of these slugs are taken, and by whom; those who are gone keep theirs.
async fn owners(tx: &Tx, slugs: &[String]) -> Result<Vec<(String, i64)>> {
    let mut sql = tx.sql();
    sql.push("SELECT slug, id FROM category WHERE ").any_text("slug", slugs.iter().map(String::as_str));
    let rows = tx.query_all_raw(sql.statement()).await?;
    rows.iter().map(|row| Ok((row.try_get("", "slug")?, row.try_get("", "id")?))).collect()
}

fn text_of(description: Option<String>, wrong: &mut Wrong) -> Option<String> {
    let text = description?.trim().to_owned();
    if text.chars().count() > DESCRIPTION_LIMIT {
        wrong.input("input.description", format!("at most {DESCRIPTION_LIMIT} characters"));
    }
    Some(text).filter(|text| !text.is_empty())
}

/// What the audit log tells of a category.
fn fields(row: &category::Model) -> Map<String, Value> {
    let parent = row.parent_id.map(|key| GlobalId::new(Kind::Category, key).encode());
    let fields = [
        ("name", json!(row.name)),
        ("slug", json!(row.slug)),
        ("description", json!(row.description)),
        ("parent", json!(parent)),
        ("position", json!(row.position)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
