//! Response shaping to the specification: fields in query order, and null for failed fields.
//!
//! The executor inserts fields in order of completion, omits failed fields, and returns null for an object without
//! selected fields. [`super::document_rewrite`] adds markers to the document where the response alone would be
//! ambiguous. The response is traversed once alongside the selection. Objects already in order only need a comparison
//! of names; list elements share the shape computed for the first.

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

/// Alias of the `__typename` marker that [`super::document_rewrite`] adds; removed from the response.
pub(super) const TYPENAME_ALIAS: &str = "__savannah";

/// Index of the schema's composite types.
static TYPE_INDEX: LazyLock<TypeIndex> = LazyLock::new(TypeIndex::from_schema);

/// Composite types by name.
pub(super) struct TypeIndex(HashMap<Name, SchemaType>);

/// Properties of a composite type.
#[derive(Default)]
pub(super) struct SchemaType {
    /// Whether it is an interface or a union, so values have a different concrete type.
    pub is_abstract: bool,
    field_types: HashMap<Name, Type>,
    /// Interfaces and unions that include the type.
    supertypes: HashSet<Name>,
}

impl TypeIndex {
    /// Returns the index of the schema.
    pub fn global() -> &'static Self {
        &TYPE_INDEX
    }

    fn from_schema() -> Self {
        let mut types: HashMap<Name, SchemaType> = HashMap::new();
        // The SDL is generated, so parsing cannot fail; if it did, responses would be returned unshaped.
        let Ok(schema) = parse_schema(crate::graphql::schema::render_federated_sdl()) else { return Self(types) };
        for definition in schema.definitions {
            let TypeSystemDefinition::Type(definition_node) = definition else { continue };
            let name = definition_node.node.name.node;
            let (fields, supertypes, is_abstract) = match definition_node.node.kind {
                TypeKind::Object(object) => (object.fields, object.implements, false),
                TypeKind::Interface(interface) => (interface.fields, interface.implements, true),
                TypeKind::Union(union) => {
                    for member in union.members {
                        types.entry(member.node).or_default().supertypes.insert(name.clone());
                    }
                    (Vec::new(), Vec::new(), true)
                }
                _ => continue,
            };
            let schema_type = types.entry(name).or_default();
            schema_type.is_abstract = is_abstract;
            schema_type.field_types.extend(fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node)));
            schema_type.supertypes.extend(supertypes.into_iter().map(|definition_node| definition_node.node));
        }
        Self(types)
    }

    /// Returns a composite type by name.
    pub fn find_type(&self, name: &str) -> Option<(&str, &SchemaType)> {
        self.0.get_key_value(name).map(|(name, schema_type)| (name.as_str(), schema_type))
    }

    /// Returns the root type of an operation.
    pub fn root_type(&self, operation: OperationType) -> Option<&str> {
        let name = match operation {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            // The root of a subscription is a stream of events.
            OperationType::Subscription => return None,
        };
        self.find_type(name).map(|(name, _)| name)
    }

    /// Returns the type of a field.
    pub fn field_type(&self, parent: &str, field: &str) -> Option<&Type> {
        self.0.get(parent)?.field_types.get(field)
    }

    /// Returns whether a type equals, implements or is a member of another.
    pub fn is_subtype(&self, name: &str, supertype: &str) -> bool {
        name == supertype || self.0.get(name).is_some_and(|schema_type| schema_type.supertypes.contains(supertype))
    }
}

/// Returns the innermost named type: `Product` of `[Product!]!`.
pub(super) fn named_type(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item_type) => named_type(item_type),
    }
}

/// Expected fields of an object, in order.
type ObjectShape<'a> = IndexMap<&'a Name, FieldSlot<'a>>;

/// Expected shape of a field.
struct FieldSlot<'a> {
    field_type: Option<&'a Type>,
    selection_sets: Vec<&'a SelectionSet>,
    /// Shapes already computed for objects of this field, by concrete type.
    shapes: Vec<(&'a str, ObjectShape<'a>)>,
}

/// Shapes an executed response to the selection of its operation.
pub fn shape_response(
    response: &mut Response,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) {
    let types = TypeIndex::global();
    let Some(root) = types.root_type(operation.ty) else { return };
    let mut shaper = ResponseShaper {
        types,
        document,
        variables,
        failed_parents: collect_parent_paths(&response.errors),
        path: String::new(),
    };
    let mut shape = shaper.build_shape(root, &[&operation.selection_set.node]);
    // The executor returns null for an object without values.
    if response.data == Value::Null {
        response.data = Value::Object(IndexMap::new());
    }
    if let Value::Object(map) = &mut response.data
        && !shaper.shape_object(map, &mut shape)
    {
        response.data = Value::Null;
    }
}

struct ResponseShaper<'a> {
    types: &'a TypeIndex,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// Paths of all ancestors of failed fields.
    failed_parents: HashSet<String>,
    /// Current path in the response; maintained only if there are errors.
    path: String,
}

impl<'a> ResponseShaper<'a> {
    fn build_shape(&self, name: &'a str, selection_sets: &[&'a SelectionSet]) -> ObjectShape<'a> {
        let mut shape = ObjectShape::new();
        for selection_set in selection_sets {
            self.collect_fields(name, selection_set, &mut shape);
        }
        shape
    }

    fn collect_fields(&self, name: &str, selection_set: &'a SelectionSet, shape: &mut ObjectShape<'a>) {
        let selections = selection_set
            .items
            .iter()
            .map(|selection_node| &selection_node.node)
            .filter(|selection_node| !is_skipped(selection_node.directives(), self.variables));
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let response_key = &field.node.response_key().node;
                    if response_key == TYPENAME_ALIAS {
                        continue;
                    }
                    let slot = shape.entry(response_key).or_insert_with(|| FieldSlot {
                        field_type: self.types.field_type(name, &field.node.name.node),
                        selection_sets: Vec::new(),
                        shapes: Vec::new(),
                    });
                    let child_set = &field.node.selection_set.node;
                    if !child_set.items.is_empty() {
                        slot.selection_sets.push(child_set);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.types.is_subtype(name, &condition.node.on.node)) {
                        self.collect_fields(name, &fragment.node.selection_set.node, shape);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node)
                        && self.types.is_subtype(name, &fragment.node.type_condition.node.on.node)
                    {
                        self.collect_fields(name, &fragment.node.selection_set.node, shape);
                    }
                }
            }
        }
    }

    /// Shapes an object and returns whether it is valid; if not, a non-null field is null.
    fn shape_object(&mut self, map: &mut IndexMap<Name, Value>, shape: &mut ObjectShape<'a>) -> bool {
        if map.last().is_some_and(|(last_key, _)| last_key == TYPENAME_ALIAS) {
            map.pop();
        }
        let is_ordered =
            map.len() == shape.len() && map.keys().zip(shape.keys()).all(|(actual, expected)| actual == *expected);
        if !is_ordered {
            let mut sorted = IndexMap::with_capacity(shape.len());
            for (response_key, slot) in &*shape {
                let value = map.swap_remove(*response_key);
                if value.is_none() && slot.field_type.is_some_and(|ty| !ty.nullable) {
                    return false;
                }
                sorted.insert((*response_key).clone(), value.unwrap_or_default());
            }
            *map = sorted;
        }
        for ((response_key, slot), value) in shape.iter_mut().zip(map.values_mut()) {
            let Some(ty) = slot.field_type.filter(|_| !slot.selection_sets.is_empty()) else { continue };
            if !self.with_path_segment(&response_key.as_str(), |shaper| shaper.shape_value(value, ty, slot)) {
                return false;
            }
        }
        true
    }

    /// Shapes a value, which may become null, and returns whether null propagation stops here.
    fn shape_value(&mut self, value: &mut Value, ty: &'a Type, slot: &mut FieldSlot<'a>) -> bool {
        if *value == Value::Null && self.failed_parents.contains(&self.path) && matches!(ty.base, BaseType::Named(_)) {
            // The object existed, but all its selected fields failed.
            *value = Value::Object(IndexMap::new());
        }
        let is_valid = match (&ty.base, &mut *value) {
            (BaseType::Named(name), Value::Object(map)) => match self.concrete_type(name, map) {
                Some(name) => {
                    let existing = slot.shapes.iter().position(|(existing, _)| *existing == name);
                    let index = existing.unwrap_or_else(|| {
                        slot.shapes.push((name, self.build_shape(name, &slot.selection_sets)));
                        slot.shapes.len() - 1
                    });
                    self.shape_object(map, &mut slot.shapes[index].1)
                }
                None => true,
            },
            (BaseType::List(item_type), Value::List(items)) => {
                let mut items = items.iter_mut().enumerate();
                items.all(|(index, item)| {
                    self.with_path_segment(&index, |shaper| shaper.shape_value(item, item_type, slot))
                })
            }
            (_, Value::Null) => return ty.nullable || self.failed_parents.is_empty(),
            _ => true,
        };
        if !is_valid {
            *value = Value::Null;
        }
        is_valid || ty.nullable
    }

    /// Returns the concrete type of an object at a position of the given type.
    fn concrete_type(&self, name: &str, map: &IndexMap<Name, Value>) -> Option<&'a str> {
        let (name, schema_type) = self.types.find_type(name)?;
        match map.get(TYPENAME_ALIAS) {
            Some(Value::String(type_name)) if schema_type.is_abstract => {
                self.types.find_type(type_name).map(|(name, _)| name)
            }
            _ => Some(name),
        }
    }

    /// Runs an action with a path segment appended.
    fn with_path_segment<T>(&mut self, segment: &dyn std::fmt::Display, action: impl FnOnce(&mut Self) -> T) -> T {
        let previous_length = self.path.len();
        if !self.failed_parents.is_empty() {
            push_path_segment(&mut self.path, segment);
        }
        let outcome = action(self);
        self.path.truncate(previous_length);
        outcome
    }
}

fn push_path_segment(path: &mut String, segment: &dyn std::fmt::Display) {
    // Writing to a `String` cannot fail.
    let _ = write!(path, "/{segment}");
}

/// Returns the paths of all ancestors of failed fields.
fn collect_parent_paths(errors: &[ServerError]) -> HashSet<String> {
    let mut parent_paths = HashSet::new();
    for error in errors {
        let mut path = String::new();
        for segment in &error.path {
            parent_paths.insert(path.clone());
            match segment {
                PathSegment::Field(name) => push_path_segment(&mut path, name),
                PathSegment::Index(index) => push_path_segment(&mut path, index),
            }
        }
    }
    parent_paths
}

/// Returns whether `@skip` or `@include` excludes a selection. Variable defaults are already applied.
fn is_skipped(directives: &[Positioned<Directive>], variables: &Variables) -> bool {
    directives.iter().any(|directive| {
        let skips_on = match directive.node.name.node.as_str() {
            "skip" => true,
            "include" => false,
            _ => return false,
        };
        let condition = directive.node.get_argument("if");
        let value = condition.and_then(|condition| {
            condition.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(())).ok()
        });
        value == Some(Value::Boolean(skips_on))
    })
}

#[cfg(test)]
mod tests;
