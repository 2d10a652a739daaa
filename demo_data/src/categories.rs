//! The generated category tree: parents, children and names.

use super::names::{convert_to_title_case, join_words, pluralize, split_words};
use super::rng::DemoRng;
use super::templates::{THEME_TEMPLATES, ThemeTemplate};

const CATEGORY_SALT: u64 = 0x5a7a_11a4;

/// A theme with its word lists split.
#[derive(Debug, Clone)]
pub struct Theme {
    /// The source template.
    pub template: ThemeTemplate,
    /// The product nouns: singular and plural.
    pub nouns: Vec<(&'static str, String)>,
    /// The variations of every noun.
    pub kinds: Vec<&'static str>,
    /// The purposes: within a sentence, and in title case.
    pub purposes: Vec<(&'static str, String)>,
    /// The materials.
    pub materials: Vec<&'static str>,
    /// The sizes, smallest first.
    pub sizes: Vec<&'static str>,
    /// The values of the second option.
    pub styles: Vec<&'static str>,
}

impl Theme {
    /// Loads all themes, in the order of the roots.
    pub fn load_all() -> Vec<Self> {
        THEME_TEMPLATES.iter().map(Self::new).collect()
    }

    fn new(template: &ThemeTemplate) -> Self {
        Self {
            template: *template,
            nouns: split_words(template.nouns).into_iter().map(|noun| (noun, pluralize(noun))).collect(),
            kinds: split_words(template.kinds),
            purposes: split_words(template.purposes)
                .into_iter()
                .map(|word| (word, convert_to_title_case(word)))
                .collect(),
            materials: split_words(template.materials),
            sizes: split_words(template.sizes),
            styles: split_words(template.style_option.1),
        }
    }
}

/// A category: the indexes into its theme's lists from which its name is built.
#[derive(Debug, Clone, Copy)]
pub struct DemoCategory {
    /// The depth: 1 for a root, at most 5.
    pub depth: usize,
    /// The index of the theme.
    pub theme_index: usize,
    /// The index of the noun; used from depth 2.
    pub noun_index: usize,
    /// The index of the kind; used from depth 3.
    pub kind_index: usize,
    parent_index: usize,
    purpose_index: usize,
    line_index: usize,
}

impl DemoCategory {
    /// The first root.
    pub const ROOT: Self = Self {
        depth: 1,
        theme_index: 0,
        noun_index: 0,
        kind_index: 0,
        parent_index: 0,
        purpose_index: 0,
        line_index: 0,
    };
}

/// All categories, parents first.
#[derive(Debug, Clone)]
pub struct DemoCategoryTree {
    nodes: Vec<DemoCategory>,
    /// The nodes without children, shuffled so that the popular ones are distributed over the tree.
    leaves: Vec<usize>,
}

impl DemoCategoryTree {
    /// Creates a tree of exactly `size` nodes, at least one.
    pub fn new(themes: &[Theme], size: usize) -> Self {
        let size = size.max(1);
        let roots = (1..=themes.len()).rev().find(|count| count * count * count <= size).unwrap_or(1);
        let mut branching = 2;
        let nodes = loop {
            if let Some(nodes) = build_nodes(themes, size, roots, branching) {
                break nodes;
            }
            branching += 1 + branching / 8;
        };
        let leaves = shuffle_leaves(&nodes);
        Self { nodes, leaves }
    }

    /// Returns the node with this index.
    pub fn node(&self, index: usize) -> Option<&DemoCategory> {
        self.nodes.get(index)
    }

    /// Chooses the category of a product: mostly a leaf, with a skewed distribution.
    pub fn choose_category(&self, rng: &mut DemoRng) -> usize {
        if rng.next_bool(8) {
            return rng.next_index(self.nodes.len());
        }
        let popular_index = rng.next_index(self.leaves.len());
        self.leaves[rng.next_index(popular_index + 1)]
    }

    /// Returns the names from the root to the node; empty if there is no such node.
    pub fn build_path(&self, themes: &[Theme], index: usize, generate_word: impl Fn(usize) -> String) -> Vec<String> {
        let Some(node) = self.nodes.get(index) else {
            return Vec::new();
        };
        let theme = &themes[node.theme_index];
        let mut path = Vec::with_capacity(node.depth);
        path.push(theme.template.name.to_owned());
        if node.depth > 1 {
            path.push(theme.nouns[node.noun_index].1.clone());
        }
        if node.depth > 2 {
            path.push(join_words(theme.kinds[node.kind_index], &path[1]));
        }
        if node.depth > 3 {
            let title = &theme.purposes[node.purpose_index].1;
            path.push([path[2].as_str(), " for ", title].concat());
        }
        if node.depth > 4 {
            path.push(join_words(&generate_word(node.line_index), &path[2]));
        }
        path
    }
}

/// Builds the first `size` nodes, in breadth-first order, of a tree with about `branching` children per node. Returns
/// `None` if the tree has fewer.
fn build_nodes(themes: &[Theme], size: usize, roots: usize, branching: usize) -> Option<Vec<DemoCategory>> {
    let root = |theme| DemoCategory { theme_index: theme, ..DemoCategory::ROOT };
    let mut nodes: Vec<DemoCategory> = (0..roots).map(root).collect();
    let mut parent_index = 0;
    while nodes.len() < size {
        let parent = *nodes.get(parent_index)?;
        let depth = parent.depth + 1;
        let theme = &themes[parent.theme_index];
        // The number of available names for the children.
        let name_count = match depth {
            2 => theme.nouns.len(),
            3 => theme.kinds.len(),
            4 => theme.purposes.len(),
            _ => usize::MAX,
        };
        let mut rng = DemoRng::new(CATEGORY_SALT, parent_index);
        let first_index = rng.next_index(1 << 16);
        for child_index in 0..choose_child_count(&mut rng, depth, branching).min(name_count) {
            let name_index = (first_index + child_index) % name_count;
            let line = nodes.len();
            let child = DemoCategory { depth, parent_index, ..parent };
            nodes.push(match depth {
                2 => DemoCategory { noun_index: child_index, ..child },
                3 => DemoCategory { kind_index: name_index, ..child },
                4 => DemoCategory { purpose_index: name_index, ..child },
                _ => DemoCategory { line_index: line, ..child },
            });
        }
        parent_index += 1;
    }
    nodes.truncate(size);
    Some(nodes)
}

/// Chooses the number of children at this depth: around `branching`, often none at deeper levels.
fn choose_child_count(rng: &mut DemoRng, depth: usize, branching: usize) -> usize {
    let (leaf_percentage, branching) = match depth {
        // The top levels are wide, so that products vary more than their classification.
        2 => (0, branching * 2),
        3 => (10, branching),
        4 => (50, branching),
        5 => (75, branching),
        _ => (100, branching),
    };
    if rng.next_bool(leaf_percentage) {
        return 0;
    }
    branching * 2 / 3 + rng.next_index(branching * 2 / 3 + 1)
}

fn shuffle_leaves(nodes: &[DemoCategory]) -> Vec<usize> {
    let mut is_leaf = vec![true; nodes.len()];
    for node in nodes.iter().filter(|node| node.depth > 1) {
        is_leaf[node.parent_index] = false;
    }
    let mut leaves: Vec<usize> = (0..nodes.len()).filter(|&index| is_leaf[index]).collect();
    let mut rng = DemoRng::new(CATEGORY_SALT, nodes.len());
    for last_index in (1..leaves.len()).rev() {
        leaves.swap(last_index, rng.next_index(last_index + 1));
    }
    leaves
}
