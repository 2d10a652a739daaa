//! The shape of a finished answer, by the specification: fields in the order of the query, and null where one failed.
//!
//! The executor puts a field into its object when the field is done, leaves out one that failed, and answers null for
//! an object none of whose fields were asked for. [`super::prepare`] leaves marks in the document for what could not be
//! told afterwards; here the answer is walked once beside the selection. Where nothing is out of place that is a
//! comparison of names; elements of a list share what was worked out for the first.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::LazyLock,
};

use async_graphql::{
    Name, PathSegment, Positioned, Response, ServerError, Value, Variables,
    indexmap::IndexMap,
    parser::{
        parse_schema,
        types::{
            BaseType, Directive, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, Type,
            TypeKind, TypeSystemDefinition,
        },
    },
};

/// The alias of a `__typename` that [`super::prepare`] asks for, and that no answer shows.
pub(super) const MARK: &str = "__savannah";

/// The types that have fields, as the schema tells of them.
static TYPES: LazyLock<Types> = LazyLock::new(Types::read);

/// The types that have fields, by name.
pub(super) struct Types(HashMap<Name, Kind>);

/// What has to be known of one.
#[derive(Default)]
pub(super) struct Kind {
    /// An interface or a union: what is found there is of another type.
    pub open: bool,
    fields: HashMap<Name, Type>,
    /// The interfaces and unions it belongs to.
    also: HashSet<Name>,
}

impl Types {
    /// Those of the schema.
    pub fn get() -> &'static Self {
        &TYPES
    }

    fn read() -> Self {
        let mut kinds: HashMap<Name, Kind> = HashMap::new();
        // It is our own text; if it could not be read, answers would go out as the executor made them.
        let Ok(schema) = parse_schema(super::sdl()) else { return Self(kinds) };
        for definition in schema.definitions {
            let TypeSystemDefinition::Type(one) = definition else { continue };
            let name = one.node.name.node;
            let (fields, also, open) = match one.node.kind {
                TypeKind::Object(object) => (object.fields, object.implements, false),
                TypeKind::Interface(interface) => (interface.fields, interface.implements, true),
                TypeKind::Union(union) => {
                    for member in union.members {
                        kinds.entry(member.node).or_default().also.insert(name.clone());
                    }
                    (Vec::new(), Vec::new(), true)
                }
                _ => continue,
            };
            let kind = kinds.entry(name).or_default();
            kind.open = open;
            kind.fields.extend(fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node)));
            kind.also.extend(also.into_iter().map(|one| one.node));
        }
        Self(kinds)
    }

    /// A type by its name, if it has fields.
    pub fn find(&self, name: &str) -> Option<(&str, &Kind)> {
        self.0.get_key_value(name).map(|(name, kind)| (name.as_str(), kind))
    }

    /// The type that an operation begins at.
    pub fn root(&self, operation: OperationType) -> Option<&str> {
        let name = match operation {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            // Its root is one event after the other.
            OperationType::Subscription => return None,
        };
        self.find(name).map(|(name, _)| name)
    }

    /// The type of a field.
    pub fn field(&self, parent: &str, field: &str) -> Option<&Type> {
        self.0.get(parent)?.fields.get(field)
    }

    /// Whether a thing of one type is also of another.
    pub fn is(&self, name: &str, other: &str) -> bool {
        name == other || self.0.get(name).is_some_and(|kind| kind.also.contains(other))
    }
}

/// The name at the heart of a type: `Product` of `[Product!]!`.
pub(super) fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(inner),
    }
}

/// What is expected of an object: its fields, in order.
type Shape<'a> = IndexMap<&'a Name, Slot<'a>>;

/// What is expected of a field.
struct Slot<'a> {
    ty: Option<&'a Type>,
    sets: Vec<&'a SelectionSet>,
    /// What was expected of the objects found here before, by their types.
    shapes: Vec<(&'a str, Shape<'a>)>,
}

/// Puts an answer that was executed into the shape that its operation asks for.
pub fn settle(
    answer: &mut Response,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) {
    let types = Types::get();
    let Some(root) = types.root(operation.ty) else { return };
    let mut work = Work { types, document, variables, failed_below: places_above(&answer.errors), path: String::new() };
    let mut shape = work.shape(root, &[&operation.selection_set.node]);
    // The executor makes an object without a value null.
    if answer.data == Value::Null {
        answer.data = Value::Object(IndexMap::new());
    }
    if let Value::Object(map) = &mut answer.data
        && !work.object(map, &mut shape)
    {
        answer.data = Value::Null;
    }
}

struct Work<'a> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// Everything in which something failed.
    failed_below: HashSet<String>,
    /// Where in the answer this is; kept only when something failed.
    path: String,
}

impl<'a> Work<'a> {
    fn shape(&self, name: &'a str, sets: &[&'a SelectionSet]) -> Shape<'a> {
        let mut shape = Shape::new();
        for set in sets {
            self.collect(name, set, &mut shape);
        }
        shape
    }

    fn collect(&self, name: &str, set: &'a SelectionSet, shape: &mut Shape<'a>) {
        let wanted = set.items.iter().map(|one| &one.node).filter(|one| !skipped(one.directives(), self.variables));
        for selection in wanted {
            match selection {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    if key == MARK {
                        continue;
                    }
                    let slot = shape.entry(key).or_insert_with(|| Slot {
                        ty: self.types.field(name, &field.node.name.node),
                        sets: Vec::new(),
                        shapes: Vec::new(),
                    });
                    let inner = &field.node.selection_set.node;
                    if !inner.items.is_empty() {
                        slot.sets.push(inner);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.types.is(name, &condition.node.on.node)) {
                        self.collect(name, &fragment.node.selection_set.node, shape);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node)
                        && self.types.is(name, &fragment.node.type_condition.node.on.node)
                    {
                        self.collect(name, &fragment.node.selection_set.node, shape);
                    }
                }
            }
        }
    }

    /// Whether the object may stay; if not, a field that must not be null is.
    fn object(&mut self, map: &mut IndexMap<Name, Value>, shape: &mut Shape<'a>) -> bool {
        if map.last().is_some_and(|(last, _)| last == MARK) {
            map.pop();
        }
        let in_place = map.len() == shape.len() && map.keys().zip(shape.keys()).all(|(there, wanted)| there == *wanted);
        if !in_place {
            let mut sorted = IndexMap::with_capacity(shape.len());
            for (key, slot) in &*shape {
                let value = map.swap_remove(*key);
                if value.is_none() && slot.ty.is_some_and(|ty| !ty.nullable) {
                    return false;
                }
                sorted.insert((*key).clone(), value.unwrap_or_default());
            }
            *map = sorted;
        }
        for ((key, slot), value) in shape.iter_mut().zip(map.values_mut()) {
            let Some(ty) = slot.ty.filter(|_| !slot.sets.is_empty()) else { continue };
            if !self.step(&key.as_str(), |work| work.value(value, ty, slot)) {
                return false;
            }
        }
        true
    }

    /// Whether the value may stay where it is. It may be null afterwards.
    fn value(&mut self, value: &mut Value, ty: &'a Type, slot: &mut Slot<'a>) -> bool {
        if *value == Value::Null && self.failed_below.contains(&self.path) && matches!(ty.base, BaseType::Named(_)) {
            // It was there; all that was asked of it failed.
            *value = Value::Object(IndexMap::new());
        }
        let well = match (&ty.base, &mut *value) {
            (BaseType::Named(name), Value::Object(map)) => match self.concrete(name, map) {
                Some(name) => {
                    let known = slot.shapes.iter().position(|(known, _)| *known == name);
                    let place = known.unwrap_or_else(|| {
                        slot.shapes.push((name, self.shape(name, &slot.sets)));
                        slot.shapes.len() - 1
                    });
                    self.object(map, &mut slot.shapes[place].1)
                }
                None => true,
            },
            (BaseType::List(inner), Value::List(items)) => {
                let mut items = items.iter_mut().enumerate();
                items.all(|(place, item)| self.step(&place, |work| work.value(item, inner, slot)))
            }
            (_, Value::Null) => return ty.nullable || self.failed_below.is_empty(),
            _ => true,
        };
        if !well {
            *value = Value::Null;
        }
        well || ty.nullable
    }

    /// The type of an object that is found where a type is said to be.
    fn concrete(&self, name: &str, map: &IndexMap<Name, Value>) -> Option<&'a str> {
        let (name, kind) = self.types.find(name)?;
        match map.get(MARK) {
            Some(Value::String(marked)) if kind.open => self.types.find(marked).map(|(name, _)| name),
            _ => Some(name),
        }
    }

    /// Does something one step further down.
    fn step<T>(&mut self, segment: &dyn std::fmt::Display, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        if !self.failed_below.is_empty() {
            push(&mut self.path, segment);
        }
        let outcome = work(self);
        self.path.truncate(before);
        outcome
    }
}

fn push(path: &mut String, segment: &dyn std::fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(path, "/{segment}");
}

/// Every place that holds another in which something failed.
fn places_above(errors: &[ServerError]) -> HashSet<String> {
    let mut places = HashSet::new();
    for error in errors {
        let mut path = String::new();
        for segment in &error.path {
            places.insert(path.clone());
            match segment {
                PathSegment::Field(name) => push(&mut path, name),
                PathSegment::Index(place) => push(&mut path, place),
            }
        }
    }
    places
}

/// Whether `@skip` or `@include` leaves something out. The defaults of variables are in their places by now.
fn skipped(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().any(|directive| {
        let when = match directive.node.name.node.as_str() {
            "skip" => true,
            "include" => false,
            _ => return false,
        };
        let given = directive.node.get_argument("if");
        let value = given
            .and_then(|given| given.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(())).ok());
        value == Some(Value::Boolean(when))
    })
}

#[cfg(test)]
mod tests;
