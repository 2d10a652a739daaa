//! Search rules: the synonyms and pinned products that staff have set. In memory: read once, replaced when they change,
//! so that a search reads them without a statement.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use sea_orm::{
    ConnectionTrait, EntityTrait, QueryOrder,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};

use super::{
    entity::{search_pin, search_rules_version, search_synonym_group},
    spelling::KnownWords,
    synonyms::SynonymIndex,
};
use crate::{
    base::Result,
    catalog::cache_tags::CATALOG,
    infra::{Db, Tx, cache::CacheTag, outbox::Event},
};

/// Event emitted when synonyms or pinned products change.
#[derive(Debug, Deserialize, Serialize)]
pub struct SearchRulesChanged {}

impl Event for SearchRulesChanged {
    const KIND: &'static str = "SearchRulesChanged";

    fn aggregate(&self) -> String {
        "search_rules:1".into()
    }

    fn cache_tags(&self) -> Vec<CacheTag> {
        // Which products are in a list, and their order.
        vec![CATALOG]
    }
}

/// The synonyms and pinned products in effect.
#[derive(Debug, Default)]
pub struct SearchRules {
    pub(super) synonyms: SynonymIndex,
    /// Ids of products by the words of the search text.
    pinned_ids: HashMap<String, Arc<[i64]>>,
    /// Words that need no correction.
    pub(super) known_words: KnownWords,
    version: i64,
}

impl SearchRules {
    /// Reads the current rules. Statements: 3.
    pub async fn load(db: &impl ConnectionTrait) -> Result<Self> {
        // The version is read first: if the rules change in between, the next refresh finds a newer version.
        let version = load_version(db).await?;
        let groups =
            search_synonym_group::Entity::find().order_by_asc(search_synonym_group::Column::Id).all(db).await?;
        let mut synonyms = SynonymIndex::default();
        for group in &groups {
            synonyms.add_group(group.term.as_deref(), &group.synonym_texts(), group.language);
        }
        let pins = search_pin::Entity::find().all(db).await?;
        let to_entry = |pin: search_pin::Model| (pin.query_normalized.clone(), Arc::from(pin.pinned_ids()));
        Ok(Self { synonyms, pinned_ids: pins.into_iter().map(to_entry).collect(), version, ..Self::default() })
    }

    /// Returns the ids of the products pinned for a search text, given by its words; the first one is on top.
    pub(super) fn find_pinned_ids(&self, words: &str) -> Arc<[i64]> {
        self.pinned_ids.get(words).cloned().unwrap_or_default()
    }
}

/// Announces a change of the rules, and makes concurrent changes wait until the transaction ends.
pub(in crate::catalog) async fn announce_change(tx: &Tx) -> Result<()> {
    let next_version = Expr::col(search_rules_version::Column::Version).add(1);
    let update = search_rules_version::Entity::update_many();
    update.col_expr(search_rules_version::Column::Version, next_version).exec(tx).await?;
    tx.emit_event(SearchRulesChanged {}).await
}

/// Returns the current version of the rules, incremented by every change.
async fn load_version(db: &impl ConnectionTrait) -> Result<i64> {
    Ok(search_rules_version::Entity::find().one(db).await?.map_or(0, |row| row.version))
}

/// Cache of the current search rules.
#[derive(Debug)]
pub struct SearchRulesCache {
    current: ArcSwap<SearchRules>,
}

impl SearchRulesCache {
    /// Creates the cache and loads the rules.
    pub async fn load(db: &Db) -> Result<Self> {
        Ok(Self { current: ArcSwap::from_pointee(SearchRules::load(db).await?) })
    }

    /// Returns the cached rules.
    #[must_use]
    pub fn current(&self) -> Arc<SearchRules> {
        self.current.load_full()
    }

    /// Reloads the rules if their version has changed, by this or another process.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        // Of a replica the rules might be older than the cached ones.
        db.use_primary();
        if load_version(db).await? != self.current.load().version {
            let reloaded = Arc::new(SearchRules::load(db).await?);
            // A concurrent refresh may have stored newer rules.
            self.current.rcu(|cached| Arc::clone(if cached.version > reloaded.version { cached } else { &reloaded }));
            // Lists found by the previous rules, also those found after the commit of the change.
            db.tag_versions().invalidate(&[CATALOG]);
        }
        Ok(())
    }
}
