//! The endpoints with their parsed documents, found by the path of a request.

use std::sync::{Arc, LazyLock};

use apollo_compiler::{ExecutableDocument, Node, ast, executable::Operation, schema::ExtendedType, validation::Valid};
use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::{
    endpoint::{RestEndpoint, RestMethod, RestParameter},
    endpoints::all_endpoints,
};
use crate::{
    graphql::execution::{
        document::{parse_document, schema::validation_schema},
        limits::DocumentLimits,
    },
    http::persisted_query::ProgramDocument,
    infra::config::GraphqlConfig,
};

/// Endpoint with its parsed document.
#[derive(Debug)]
pub struct RestRoute {
    /// Endpoint.
    pub endpoint: &'static RestEndpoint,
    /// Document as it is executed.
    pub stored: ProgramDocument,
    /// Document as the OpenAPI document is generated from it.
    pub parsed: Valid<ExecutableDocument>,
    /// Parameters with their types.
    pub parameters: Vec<TypedParameter>,
}

/// Parameter with its type.
#[derive(Debug)]
pub struct TypedParameter {
    /// Parameter.
    pub parameter: RestParameter,
    /// Path of the variable.
    pub path: Vec<&'static str>,
    /// Type of the variable, or of the field of it.
    pub ty: ast::Type,
    /// Description of the field, or of the argument that the variable is given to.
    pub description: Option<String>,
}

/// All endpoints.
#[derive(Debug, Default)]
pub struct RestRoutes {
    /// Endpoints in the order of the table.
    pub routes: Vec<RestRoute>,
}

/// What a path leads to.
#[derive(Debug)]
pub enum RouteMatch<'a> {
    /// An endpoint, with the values of the parameters of its path.
    Found(&'a RestRoute, Vec<(&'static str, String)>),
    /// The path has other methods.
    OtherMethods(Vec<RestMethod>),
    /// No endpoint has the path.
    Unknown,
}

static ROUTES: LazyLock<RestRoutes> = LazyLock::new(|| {
    RestRoutes::build().unwrap_or_else(|error| {
        // The documents are part of the program and covered by a test: a caller cannot cause this.
        tracing::error!(error, "a stored operation is invalid");
        RestRoutes::default()
    })
});

/// Returns the endpoints, whose documents are parsed once.
#[must_use]
pub fn prepare_routes() -> &'static RestRoutes {
    &ROUTES
}

impl RestRoutes {
    /// Parses and validates the documents of all endpoints.
    ///
    /// # Errors
    /// Returns what is invalid.
    pub fn build() -> Result<Self, String> {
        all_endpoints().map(RestRoute::build).collect::<Result<_, _>>().map(|routes| Self { routes })
    }

    /// Finds the endpoint of a method and the segments of a path below the version.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> RouteMatch<'_> {
        let segments: Vec<&str> = path.split('/').collect();
        let matches = self.routes.iter().filter_map(|route| Some((route, match_path(route.endpoint.path, &segments)?)));
        let mut matches: Vec<_> = matches.collect();
        let Some(fewest_parameters) = matches.iter().map(|(_, values)| values.len()).min() else {
            return RouteMatch::Unknown;
        };
        matches.retain(|(_, values)| values.len() == fewest_parameters);
        let methods = matches.iter().map(|(route, _)| route.endpoint.method).collect();
        let method = RestMethod::of_request(method);
        let found = matches.into_iter().find(|(route, _)| Some(route.endpoint.method) == method);
        found.map_or(RouteMatch::OtherMethods(methods), |(route, values)| RouteMatch::Found(route, values))
    }
}

impl RestRoute {
    fn build(endpoint: &'static RestEndpoint) -> Result<Self, String> {
        let label = format!("{} {}", endpoint.method.as_str(), endpoint.path);
        let text = endpoint.document.concat();
        let limits = DocumentLimits { config: &GraphqlConfig::UNLIMITED, allows_introspection: false };
        let document = parse_document(&text, limits).map_err(|error| format!("{label}: {:?}", error.errors))?;
        let parsed = ExecutableDocument::parse_and_validate(validation_schema(), &text, "rest.graphql")
            .map_err(|error| format!("{label}: {}", error.errors))?;
        let operation = parsed.operations.get(None).map_err(|_| format!("{label}: not one operation"))?;
        let name = operation.name.as_ref().ok_or_else(|| format!("{label}: the operation has no name"))?;
        let to_typed = |parameter: &RestParameter| {
            TypedParameter::resolve(*parameter, operation)
                .ok_or_else(|| format!("{label}: there is no variable {}", parameter.variable))
        };
        let parameters = endpoint.parameters.iter().map(to_typed).collect::<Result<_, _>>()?;
        // Names of operations live as long as the program.
        let operation_name: &'static str = Box::leak(name.to_string().into_boxed_str());
        let stored = ProgramDocument { operation: operation_name, document: Arc::new(document) };
        Ok(Self { endpoint, stored, parsed, parameters })
    }

    /// Returns the only operation of the document.
    #[must_use]
    pub fn operation(&self) -> Option<&Node<Operation>> {
        self.parsed.operations.get(None).ok()
    }
}

impl TypedParameter {
    fn resolve(parameter: RestParameter, operation: &Operation) -> Option<Self> {
        let path: Vec<&'static str> = parameter.variable.split('.').collect();
        let (name, fields) = path.split_first()?;
        let variable = operation.variables.iter().find(|variable| variable.name == *name)?;
        let mut ty = variable.ty.as_ref().clone();
        let mut description = fields.is_empty().then(|| describe_argument(operation, name)).flatten();
        for field in fields {
            let ExtendedType::InputObject(object) = validation_schema().types.get(ty.inner_named_type())? else {
                return None;
            };
            let definition = object.fields.get(*field)?;
            ty = definition.ty.as_ref().clone();
            description = definition.description.as_ref().map(ToString::to_string);
        }
        Some(Self { parameter, path, ty, description })
    }
}

/// Returns the description of the argument of the root field that a variable is given to.
fn describe_argument(operation: &Operation, variable: &str) -> Option<String> {
    let field = operation.selection_set.fields().next()?;
    let argument = field
        .arguments
        .iter()
        .find(|argument| matches!(argument.value.as_ref(), ast::Value::Variable(name) if name == variable))?;
    let definition = field.definition.arguments.iter().find(|definition| definition.name == argument.name)?;
    definition.description.as_ref().map(ToString::to_string)
}

/// Returns the values of the parameters if the segments of a path match its template.
fn match_path(template: &'static str, segments: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let template_segments = template.split('/').skip(1);
    if template_segments.clone().count() != segments.len() {
        return None;
    }
    let mut values = Vec::new();
    for (template_segment, segment) in template_segments.zip(segments) {
        let parameter = template_segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        if parameter.is_none() && template_segment == *segment {
            continue;
        }
        let segment = percent_decode_str(segment).decode_utf8().ok().filter(|segment| !segment.is_empty())?;
        match parameter {
            Some(name) => values.push((name, segment.into_owned())),
            None if template_segment == segment => {}
            None => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::rest::endpoint::{ParameterPlace, RequestBody};

    #[test]
    fn stored_operations_are_valid() {
        let built = RestRoutes::build().map_err(|error| panic!("{error}"));
        assert!(built.is_ok_and(|routes| routes.routes.len() > 40));
    }

    #[test]
    fn path_parameters_are_declared() {
        for endpoint in all_endpoints() {
            let in_path = endpoint.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            let is_path = |parameter: &&RestParameter| parameter.place == ParameterPlace::Path;
            let declared = endpoint.parameters.iter().filter(is_path).map(|parameter| parameter.name);
            assert!(in_path.eq(declared), "{}", endpoint.path);
        }
    }

    #[test]
    fn each_variable_is_set_by_the_request() {
        for route in &prepare_routes().routes {
            let endpoint = route.endpoint;
            let mut set: Vec<&str> = route.parameters.iter().map(|parameter| parameter.path[0]).collect();
            match endpoint.body {
                RequestBody::Empty => {}
                RequestBody::Input(_) => set.push("input"),
                RequestBody::Variables(names) => set.extend(names),
            }
            set.extend(endpoint.has_precondition.then_some("expectedVersion"));
            let operation = route.operation().expect("an operation");
            for variable in &operation.variables {
                let is_set = set.contains(&variable.name.as_str());
                // The body of `DELETE` and the id of the caller's own customer are absent.
                let is_optional = !variable.ty.is_non_null() && ["input", "id"].contains(&variable.name.as_str());
                let is_unkeyed = variable.name == "expectedVersion";
                assert!(is_set || is_optional || is_unkeyed, "{} sets no ${}", endpoint.path, variable.name);
            }
        }
    }

    #[test]
    fn literal_segments_precede_parameters() {
        let find = |method, path| match prepare_routes().find(&method, path) {
            RouteMatch::Found(route, values) => (route.endpoint.path, values),
            other => panic!("{other:?}"),
        };
        assert_eq!(find(Method::GET, "customers/me"), ("/customers/me", vec![]));
        assert_eq!(find(Method::HEAD, "products/a%20b"), ("/products/{id}", vec![("id", "a b".to_owned())]));
        let other = prepare_routes().find(&Method::DELETE, "products");
        assert!(matches!(other, RouteMatch::OtherMethods(methods) if methods == [RestMethod::Get, RestMethod::Post]));
        assert!(matches!(prepare_routes().find(&Method::GET, "products/"), RouteMatch::Unknown));
        assert!(matches!(prepare_routes().find(&Method::GET, "nothing"), RouteMatch::Unknown));
    }
}
