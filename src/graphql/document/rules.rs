//! The rules for input values that the validation of `apollo-compiler` lacks: variables inside lists and objects, fields
//! that an object names twice, and `@oneOf`.

use std::collections::{HashMap, HashSet};

use apollo_compiler::{
    ExecutableDocument, Name, Node,
    ast::{Argument, DirectiveList, InputValueDefinition, Type, Value, VariableDefinition},
    executable::{Operation, Selection, SelectionSet},
    parser::SourceSpan,
    schema::InputObjectType,
};
use async_graphql::ServerError;

use super::{ERRORS, error_at, lines::LineIndex, schema};

/// Checks a document that `apollo-compiler` accepts.
///
/// # Errors
/// What is wrong, a few at most.
pub(super) fn check(document: &ExecutableDocument, lines: &LineIndex<'_>) -> Result<(), Vec<ServerError>> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let variables = operation.variables.iter().map(|one| (&one.name, one)).collect();
        let mut check = Check { document, lines, variables, checked: HashSet::new(), errors: &mut errors };
        check.operation(operation);
    }
    errors.truncate(ERRORS);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What is expected where a value stands: its type, and whether the schema has a default for it.
#[derive(Clone, Copy)]
struct Place<'a> {
    ty: &'a Type,
    has_default: bool,
}

impl<'a> Place<'a> {
    fn of(definition: &'a InputValueDefinition) -> Self {
        Self { ty: &definition.ty, has_default: definition.default_value.is_some() }
    }
}

struct Check<'a> {
    document: &'a ExecutableDocument,
    lines: &'a LineIndex<'a>,
    variables: HashMap<&'a Name, &'a Node<VariableDefinition>>,
    /// Fragments that were checked for this operation's variables.
    checked: HashSet<&'a Name>,
    errors: &'a mut Vec<ServerError>,
}

impl<'a> Check<'a> {
    fn operation(&mut self, operation: &'a Node<Operation>) {
        for variable in &operation.variables {
            self.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                self.value(Some(Place { ty: &variable.ty, has_default: false }), default);
            }
        }
        self.directives(&operation.directives);
        self.selection_set(&operation.selection_set);
    }

    fn selection_set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, &field.definition.arguments);
                    self.selection_set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.selection_set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    if let Some(fragment) = fragment.filter(|_| self.checked.insert(&spread.fragment_name)) {
                        self.directives(&fragment.directives);
                        self.selection_set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a DirectiveList) {
        for directive in directives {
            if let Some(definition) = schema().directive_definitions.get(&directive.name) {
                self.arguments(&directive.arguments, &definition.arguments);
            }
        }
    }

    fn arguments(&mut self, arguments: &'a [Node<Argument>], definitions: &[Node<InputValueDefinition>]) {
        for argument in arguments {
            let definition = definitions.iter().find(|one| one.name == argument.name);
            self.value(definition.map(|one| Place::of(one)), &argument.value);
        }
    }

    /// Checks a value; inside of a custom scalar nothing is expected of it.
    fn value(&mut self, place: Option<Place<'_>>, value: &'a Node<Value>) {
        match &**value {
            Value::Variable(name) => self.variable(place, (name, value.location())),
            Value::List(items) => {
                let item = place.filter(|place| place.ty.is_list()).map(|place| place.ty.item_type());
                for value in items {
                    self.value(item.map(|ty| Place { ty, has_default: false }), value);
                }
            }
            Value::Object(fields) => {
                let mut named = HashSet::new();
                for (name, value) in fields {
                    if !named.insert(name) {
                        self.report(format!("There can be only one input field named \"{name}\"."), value.location());
                    }
                }
                let object = place.and_then(|place| schema().get_input_object(place.ty.inner_named_type()));
                if let Some(object) = object {
                    self.one_of(object, fields, value.location());
                }
                for (name, value) in fields {
                    let definition = object.and_then(|object| object.fields.get(name));
                    self.value(definition.map(|one| Place::of(one)), value);
                }
            }
            _ => {}
        }
    }

    fn variable(&mut self, place: Option<Place<'_>>, (name, span): (&Name, Option<SourceSpan>)) {
        let Some(variable) = self.variables.get(name).copied() else {
            self.report(format!("Variable \"${name}\" is not defined."), span);
            return;
        };
        let Some(Place { ty, has_default }) = place else { return };
        let defaults = variable.default_value.as_ref().is_some_and(|default| !default.is_null()) || has_default;
        let allowed = if ty.is_non_null() && !variable.ty.is_non_null() {
            defaults && variable.ty.is_assignable_to(&ty.clone().nullable())
        } else {
            variable.ty.is_assignable_to(ty)
        };
        if !allowed {
            let message =
                format!("Variable \"${name}\" of type \"{}\" used in position expecting type \"{ty}\".", variable.ty);
            self.report(message, span);
        }
    }

    /// Checks that exactly one field of a `@oneOf` object is given, and not null.
    fn one_of(&mut self, object: &InputObjectType, fields: &[(Name, Node<Value>)], span: Option<SourceSpan>) {
        if !is_one_of(object) {
            return;
        }
        let given = match fields {
            [(_, value)] => match &**value {
                Value::Null => false,
                Value::Variable(name) => self.variables.get(name).is_none_or(|variable| variable.ty.is_non_null()),
                _ => true,
            },
            _ => false,
        };
        if !given {
            let message = format!("Exactly one field of \"{}\" must be given, and it must not be null.", object.name);
            self.report(message, span);
        }
    }

    fn report(&mut self, message: String, span: Option<SourceSpan>) {
        if self.errors.len() < ERRORS && !self.errors.iter().any(|error| error.message == message) {
            self.errors.push(error_at(message, self.lines.position(span)));
        }
    }
}

/// Whether exactly one field of an input object must be given.
pub(in super::super) fn is_one_of(object: &InputObjectType) -> bool {
    object.directives.has("oneOf")
}
