//! Concurrent category moves preserve the tree.

use std::collections::HashMap;

use savannah::identity::Role;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![concurrent_category_moves_leave_a_valid_tree];

/// Number of categories, clients, and moves per client.
const CATEGORY_COUNT: usize = 40;
const MOVER_COUNT: usize = 8;
const MOVES_PER_MOVER: usize = 25;

/// Returns a deterministic pseudo-random number generator.
fn seeded_rng(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).expect("a side")
    }
}

async fn concurrent_category_moves_leave_a_valid_tree(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let mut random_below = seeded_rng(7);
    let mut paths: Vec<Vec<String>> = Vec::new();
    for number in 0..CATEGORY_COUNT {
        let mut path = if number % 4 == 0 { Vec::new() } else { paths[random_below(number)].clone() };
        path.push(format!("C{number}"));
        paths.push(path);
    }
    app.create_categories(paths.into_iter()).await;
    let ids: Vec<String> = app.query_category_paths().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), CATEGORY_COUNT);

    let query = "mutation($id: ID!, $to: ID, $at: Int) { categoryMove(id: $id, parentId: $to, position: $at) {
        category { id } userErrors { code } } }";
    let move_randomly = async |seed: usize| {
        let mut random_below = seeded_rng(100 + seed as u64);
        let mut possible = 0;
        for _ in 0..MOVES_PER_MOVER {
            let to = if random_below(6) == 0 { None } else { Some(&ids[random_below(CATEGORY_COUNT)]) };
            let variables = json!({ "id": ids[random_below(CATEGORY_COUNT)], "to": to, "at": random_below(5) });
            let response = app.query_as(&admin, query, variables).await;
            possible += usize::from(!response.data_at("/categoryMove/category").is_null());
        }
        possible
    };
    let all: usize = futures_util::future::join_all((0..MOVER_COUNT).map(move_randomly)).await.into_iter().sum();
    assert!(all > MOVER_COUNT * MOVES_PER_MOVER / 4, "only {all} moves were possible");
    assert_valid_tree(&app).await;
    let visible_categories = app.query_category_paths().await;
    assert_eq!(visible_categories.len(), CATEGORY_COUNT, "the tree that readers see has lost some");
}

/// Asserts a tree without cycles or lost categories, with paths that match the parents and unique sibling positions.
async fn assert_valid_tree(app: &TestApp) {
    let sql = "SELECT id, parent_id, path, position FROM category";
    let rows =
        app.db.writer_connection().query_all_raw(Statement::from_string(app.db.backend(), sql)).await.expect("rows");
    assert_eq!(rows.len(), CATEGORY_COUNT);
    let mut parents: HashMap<i64, Option<i64>> = HashMap::new();
    let mut positions: HashMap<Option<i64>, Vec<i32>> = HashMap::new();
    let mut all: Vec<(i64, String)> = Vec::new();
    for row in &rows {
        let key: i64 = row.try_get("", "id").expect("a key");
        let parent: Option<i64> = row.try_get("", "parent_id").expect("a parent");
        parents.insert(key, parent);
        positions.entry(parent).or_default().push(row.try_get("", "position").expect("a place"));
        all.push((key, row.try_get("", "path").expect("a path")));
    }
    for (key, path) in all {
        let chain: Vec<i64> =
            std::iter::successors(Some(key), |category_id| parents[category_id]).take(CATEGORY_COUNT + 1).collect();
        assert!(chain.len() <= CATEGORY_COUNT, "a cycle above {key}");
        let chain: Vec<String> = chain.iter().rev().map(i64::to_string).collect();
        assert_eq!(path, format!("/{}/", chain.join("/")));
    }
    for (parent, mut positions) in positions {
        positions.sort_unstable();
        let expected: Vec<i32> = (0..).take(positions.len()).collect();
        assert_eq!(positions, expected, "the places below {parent:?}");
    }
}
