//! The shape of a generated category tree: which node hangs below which, and the words of its name.

use super::dice::Dice;
use super::name::{join, list, plural, title};
use super::themes::{Source, THEMES};

const SALT: u64 = 0x5a7a_11a4;

/// A theme with its lists taken apart.
#[derive(Debug, Clone)]
pub struct Theme {
    /// As written down.
    pub source: Source,
    /// One of each thing sold, beside its plural.
    pub nouns: Vec<(&'static str, String)>,
    /// Kinds that every noun comes in.
    pub kinds: Vec<&'static str>,
    /// What they are for: inside a sentence, and in a title.
    pub uses: Vec<(&'static str, String)>,
    /// What they are made of.
    pub materials: Vec<&'static str>,
    /// Smallest first.
    pub sizes: Vec<&'static str>,
    /// The values of the second option.
    pub looks: Vec<&'static str>,
}

impl Theme {
    /// All themes, in the order of the roots.
    pub fn all() -> Vec<Self> {
        THEMES.iter().map(Self::new).collect()
    }

    fn new(source: &Source) -> Self {
        Self {
            source: *source,
            nouns: list(source.nouns).into_iter().map(|noun| (noun, plural(noun))).collect(),
            kinds: list(source.kinds),
            uses: list(source.uses).into_iter().map(|word| (word, title(word))).collect(),
            materials: list(source.materials),
            sizes: list(source.sizes),
            looks: list(source.looks.1),
        }
    }
}

/// One category: the place in each of its theme's lists that its name is made from.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// How far from the top: a root has 1, the deepest 5.
    pub depth: usize,
    /// Which theme it belongs to.
    pub theme: usize,
    /// Said from depth 2.
    pub noun: usize,
    /// Said from depth 3.
    pub kind: usize,
    parent: usize,
    purpose: usize,
    line: usize,
}

impl Node {
    /// The first root.
    pub const ROOT: Self = Self { depth: 1, theme: 0, noun: 0, kind: 0, parent: 0, purpose: 0, line: 0 };
}

/// Every category, parents first.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The nodes without children, shuffled, so that the popular ones are spread over the shop.
    leaves: Vec<usize>,
}

impl Tree {
    /// A tree of exactly `size` nodes, at least one.
    pub fn new(themes: &[Theme], size: usize) -> Self {
        let size = size.max(1);
        let roots = (1..=themes.len()).rev().find(|r| r * r * r <= size).unwrap_or(1);
        let mut fan = 2;
        let nodes = loop {
            if let Some(nodes) = grow(themes, size, roots, fan) {
                break nodes;
            }
            fan += 1 + fan / 8;
        };
        let leaves = leaves(&nodes);
        Self { nodes, leaves }
    }

    /// The node with this number.
    pub fn node(&self, n: usize) -> Option<&Node> {
        self.nodes.get(n)
    }

    /// A node to put a product in: mostly a leaf, and some leaves far more often than others.
    pub fn choose(&self, dice: &mut Dice) -> usize {
        if dice.percent(8) {
            return dice.index(self.nodes.len());
        }
        let near = dice.index(self.leaves.len());
        self.leaves[dice.index(near + 1)]
    }

    /// The names from the root down to the node, or nothing when there is no such node.
    pub fn path(&self, themes: &[Theme], n: usize, coin: impl Fn(usize) -> String) -> Vec<String> {
        let Some(node) = self.nodes.get(n) else {
            return Vec::new();
        };
        let theme = &themes[node.theme];
        let mut path = Vec::with_capacity(node.depth);
        path.push(theme.source.name.to_owned());
        if node.depth > 1 {
            path.push(theme.nouns[node.noun].1.clone());
        }
        if node.depth > 2 {
            path.push(join(theme.kinds[node.kind], &path[1]));
        }
        if node.depth > 3 {
            let title = &theme.uses[node.purpose].1;
            path.push([path[2].as_str(), " for ", title].concat());
        }
        if node.depth > 4 {
            path.push(join(&coin(node.line), &path[2]));
        }
        path
    }
}

/// The first `size` nodes, level by level, of a tree with about `fan` children each; `None` when it has fewer.
fn grow(themes: &[Theme], size: usize, roots: usize, fan: usize) -> Option<Vec<Node>> {
    let root = |theme| Node { theme, ..Node::ROOT };
    let mut nodes: Vec<Node> = (0..roots).map(root).collect();
    let mut at = 0;
    while nodes.len() < size {
        let parent = *nodes.get(at)?;
        let depth = parent.depth + 1;
        let theme = &themes[parent.theme];
        // How many words there are to call the children by.
        let words = match depth {
            2 => theme.nouns.len(),
            3 => theme.kinds.len(),
            4 => theme.uses.len(),
            _ => usize::MAX,
        };
        let mut dice = Dice::new(SALT, at);
        let first = dice.index(1 << 16);
        for slot in 0..children(&mut dice, depth, fan).min(words) {
            let word = (first + slot) % words;
            let line = nodes.len();
            let child = Node { depth, parent: at, ..parent };
            nodes.push(match depth {
                2 => Node { noun: slot, ..child },
                3 => Node { kind: word, ..child },
                4 => Node { purpose: word, ..child },
                _ => Node { line, ..child },
            });
        }
        at += 1;
    }
    nodes.truncate(size);
    Some(nodes)
}

/// How many children at this depth one parent has: around `fan`, and often none further down.
fn children(dice: &mut Dice, depth: usize, fan: usize) -> usize {
    let (none, fan) = match depth {
        // Wide at the top: what is sold should vary before the ways to sort it do.
        2 => (0, fan * 2),
        3 => (10, fan),
        4 => (50, fan),
        5 => (75, fan),
        _ => (100, fan),
    };
    if dice.percent(none) {
        return 0;
    }
    fan * 2 / 3 + dice.index(fan * 2 / 3 + 1)
}

fn leaves(nodes: &[Node]) -> Vec<usize> {
    let mut is_leaf = vec![true; nodes.len()];
    for node in nodes.iter().filter(|node| node.depth > 1) {
        is_leaf[node.parent] = false;
    }
    let mut leaves: Vec<usize> = (0..nodes.len()).filter(|&n| is_leaf[n]).collect();
    let mut dice = Dice::new(SALT, nodes.len());
    for last in (1..leaves.len()).rev() {
        leaves.swap(last, dice.index(last + 1));
    }
    leaves
}
