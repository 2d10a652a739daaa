//! A valid document as the executor reads it, with the positions of the original text.

use std::collections::HashMap;

use apollo_compiler::{
    Name as SourceName, Node,
    ast::{self, Definition},
    parser::SourceSpan,
};
use async_graphql::{
    Name, Number, Positioned, ServerError,
    indexmap::IndexMap,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread, InlineFragment,
        OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
    },
};
use async_graphql_value::Value;

use super::lines::LineIndex;

/// An argument.
type NamedValue = (Positioned<Name>, Positioned<Value>);

/// Converts a document.
///
/// # Errors
/// When it holds a number that no JSON can: a custom scalar accepts any.
pub(super) fn document(ast: &ast::Document, lines: &LineIndex<'_>) -> Result<ExecutableDocument, ServerError> {
    let convert = Convert { lines };
    let mut anonymous = None;
    let mut named = HashMap::new();
    let mut fragments = HashMap::new();
    for definition in &ast.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let converted = convert.at(operation.location(), convert.operation(operation)?);
                match &operation.name {
                    Some(name) => drop(named.insert(Name::new(name), converted)),
                    None => anonymous = Some(converted),
                }
            }
            Definition::FragmentDefinition(fragment) => {
                let converted = convert.at(fragment.location(), convert.fragment(fragment)?);
                fragments.insert(Name::new(&fragment.name), converted);
            }
            // Definitions of types are not valid in what is executed.
            _ => {}
        }
    }
    // An anonymous operation is the only one of a valid document.
    let operations = anonymous.map_or(DocumentOperations::Multiple(named), DocumentOperations::Single);
    Ok(ExecutableDocument { operations, fragments })
}

/// The type of an operation.
pub(super) fn operation_type(ty: ast::OperationType) -> OperationType {
    match ty {
        ast::OperationType::Query => OperationType::Query,
        ast::OperationType::Mutation => OperationType::Mutation,
        ast::OperationType::Subscription => OperationType::Subscription,
    }
}

struct Convert<'a> {
    lines: &'a LineIndex<'a>,
}

impl Convert<'_> {
    fn at<T>(&self, span: Option<SourceSpan>, node: T) -> Positioned<T> {
        Positioned::new(node, self.lines.position(span))
    }

    fn name(&self, name: &SourceName) -> Positioned<Name> {
        self.at(name.location(), Name::new(name))
    }

    fn operation(&self, operation: &Node<ast::OperationDefinition>) -> Result<OperationDefinition, ServerError> {
        let variable = |one: &Node<ast::VariableDefinition>| Ok(self.at(one.location(), self.variable(one)?));
        let variables: Result<_, ServerError> = operation.variables.iter().map(variable).collect();
        Ok(OperationDefinition {
            ty: operation_type(operation.operation_type),
            variable_definitions: variables?,
            directives: self.directives(&operation.directives)?,
            selection_set: self.selection_set(&operation.selection_set, operation.location())?,
        })
    }

    fn variable(&self, variable: &ast::VariableDefinition) -> Result<VariableDefinition, ServerError> {
        let text = variable.ty.to_string();
        let var_type = Type::new(&text).ok_or_else(|| {
            ServerError::new(format!("\"{text}\" is no type."), Some(self.lines.position(variable.ty.location())))
        })?;
        let default = match &variable.default_value {
            // A constant names no variable, so every value of it is one.
            Some(value) => self.value(value)?.into_const().map(|constant| self.at(value.location(), constant)),
            None => None,
        };
        Ok(VariableDefinition {
            name: self.name(&variable.name),
            var_type: self.at(variable.ty.location(), var_type),
            directives: self.directives(&variable.directives)?,
            default_value: default,
        })
    }

    fn fragment(&self, fragment: &Node<ast::FragmentDefinition>) -> Result<FragmentDefinition, ServerError> {
        Ok(FragmentDefinition {
            type_condition: self.type_condition(&fragment.type_condition),
            directives: self.directives(&fragment.directives)?,
            selection_set: self.selection_set(&fragment.selection_set, fragment.location())?,
        })
    }

    fn type_condition(&self, name: &SourceName) -> Positioned<TypeCondition> {
        self.at(name.location(), TypeCondition { on: self.name(name) })
    }

    fn selection_set(
        &self,
        set: &[ast::Selection],
        span: Option<SourceSpan>,
    ) -> Result<Positioned<SelectionSet>, ServerError> {
        let items = set.iter().map(|one| self.selection(one)).collect::<Result<_, _>>()?;
        Ok(self.at(span, SelectionSet { items }))
    }

    fn selection(&self, selection: &ast::Selection) -> Result<Positioned<Selection>, ServerError> {
        Ok(match selection {
            ast::Selection::Field(field) => {
                let span = field.location();
                let converted = Field {
                    alias: field.alias.as_ref().map(|alias| self.name(alias)),
                    name: self.name(&field.name),
                    arguments: self.arguments(&field.arguments)?,
                    directives: self.directives(&field.directives)?,
                    selection_set: self.selection_set(&field.selection_set, span)?,
                };
                self.at(span, Selection::Field(self.at(span, converted)))
            }
            ast::Selection::InlineFragment(fragment) => {
                let span = fragment.location();
                let converted = InlineFragment {
                    type_condition: fragment.type_condition.as_ref().map(|name| self.type_condition(name)),
                    directives: self.directives(&fragment.directives)?,
                    selection_set: self.selection_set(&fragment.selection_set, span)?,
                };
                self.at(span, Selection::InlineFragment(self.at(span, converted)))
            }
            ast::Selection::FragmentSpread(spread) => {
                let span = spread.location();
                let converted = FragmentSpread {
                    fragment_name: self.name(&spread.fragment_name),
                    directives: self.directives(&spread.directives)?,
                };
                self.at(span, Selection::FragmentSpread(self.at(span, converted)))
            }
        })
    }

    fn directives(&self, directives: &ast::DirectiveList) -> Result<Vec<Positioned<Directive>>, ServerError> {
        let directive = |one: &Node<ast::Directive>| {
            let converted = Directive { name: self.name(&one.name), arguments: self.arguments(&one.arguments)? };
            Ok(self.at(one.location(), converted))
        };
        directives.iter().map(directive).collect()
    }

    fn arguments(&self, arguments: &[Node<ast::Argument>]) -> Result<Vec<NamedValue>, ServerError> {
        let argument = |one: &Node<ast::Argument>| {
            Ok((self.name(&one.name), self.at(one.value.location(), self.value(&one.value)?)))
        };
        arguments.iter().map(argument).collect()
    }

    fn value(&self, value: &Node<ast::Value>) -> Result<Value, ServerError> {
        Ok(match &**value {
            ast::Value::Null => Value::Null,
            ast::Value::Enum(name) => Value::Enum(Name::new(name)),
            ast::Value::Variable(name) => Value::Variable(Name::new(name)),
            ast::Value::String(text) => Value::String(text.clone()),
            ast::Value::Float(number) => Value::Number(self.number(number.as_str(), value)?),
            ast::Value::Int(number) => Value::Number(self.number(number.as_str(), value)?),
            ast::Value::Boolean(truth) => Value::Boolean(*truth),
            ast::Value::List(items) => {
                Value::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            ast::Value::Object(fields) => {
                let field = |(name, value): &(SourceName, _)| Ok((Name::new(name), self.value(value)?));
                Value::Object(fields.iter().map(field).collect::<Result<IndexMap<_, _>, ServerError>>()?)
            }
        })
    }

    fn number(&self, text: &str, value: &Node<ast::Value>) -> Result<Number, ServerError> {
        let outside = || {
            let message = "The number is larger than any that can be read.";
            ServerError::new(message, Some(self.lines.position(value.location())))
        };
        text.parse().map_err(|_| outside())
    }
}
