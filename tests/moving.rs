//! Many move categories at once: the tree stays a tree.

use std::collections::HashMap;

use savannah::identity::Role;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![many_moves_at_once_leave_a_tree];

/// How many categories, who moves them, and how often each.
const CATEGORIES: usize = 40;
const MOVERS: usize = 8;
const MOVES: usize = 25;

/// Numbers that look random, the same every time.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % sides as u64).expect("a side")
    }
}

async fn many_moves_at_once_leave_a_tree(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let mut roll = dice(7);
    let mut paths: Vec<Vec<String>> = Vec::new();
    for number in 0..CATEGORIES {
        let mut path = if number % 4 == 0 { Vec::new() } else { paths[roll(number)].clone() };
        path.push(format!("C{number}"));
        paths.push(path);
    }
    shop.plant(paths.into_iter()).await;
    let ids: Vec<String> = shop.categories().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), CATEGORIES);

    let query = "mutation($id: ID!, $to: ID, $at: Int) { categoryMove(id: $id, parentId: $to, position: $at) {
        category { id } userErrors { code } } }";
    let mover = async |seed: usize| {
        let mut roll = dice(100 + seed as u64);
        let mut possible = 0;
        for _ in 0..MOVES {
            let to = if roll(6) == 0 { None } else { Some(&ids[roll(CATEGORIES)]) };
            let variables = json!({ "id": ids[roll(CATEGORIES)], "to": to, "at": roll(5) });
            let answer = shop.ask_as(&admin, query, variables).await;
            possible += usize::from(!answer.at("/categoryMove/category").is_null());
        }
        possible
    };
    let all: usize = futures_util::future::join_all((0..MOVERS).map(mover)).await.into_iter().sum();
    assert!(all > MOVERS * MOVES / 4, "only {all} moves were possible");
    check(&shop).await;
    let seen = shop.categories().await;
    assert_eq!(seen.len(), CATEGORIES, "the tree that readers see has lost some");
}

/// No cycle, none lost, every path what the parents say, every place among siblings taken once.
async fn check(shop: &Shop) {
    let sql = "SELECT id, parent_id, path, position FROM category";
    let rows = shop.db.owner().query_all_raw(Statement::from_string(shop.db.backend(), sql)).await.expect("rows");
    assert_eq!(rows.len(), CATEGORIES);
    let mut parents: HashMap<i64, Option<i64>> = HashMap::new();
    let mut places: HashMap<Option<i64>, Vec<i32>> = HashMap::new();
    let mut all: Vec<(i64, String)> = Vec::new();
    for row in &rows {
        let key: i64 = row.try_get("", "id").expect("a key");
        let parent: Option<i64> = row.try_get("", "parent_id").expect("a parent");
        parents.insert(key, parent);
        places.entry(parent).or_default().push(row.try_get("", "position").expect("a place"));
        all.push((key, row.try_get("", "path").expect("a path")));
    }
    for (key, path) in all {
        let chain: Vec<i64> = std::iter::successors(Some(key), |at| parents[at]).take(CATEGORIES + 1).collect();
        assert!(chain.len() <= CATEGORIES, "a cycle above {key}");
        let chain: Vec<String> = chain.iter().rev().map(i64::to_string).collect();
        assert_eq!(path, format!("/{}/", chain.join("/")));
    }
    for (parent, mut places) in places {
        places.sort_unstable();
        let expected: Vec<i32> = (0..).take(places.len()).collect();
        assert_eq!(places, expected, "the places below {parent:?}");
    }
}
