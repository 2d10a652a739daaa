//! Pictures of the shop: staff upload them and use them as images.

pub mod mutations;
pub mod object;

use async_graphql::{InputObject, Object};

use self::object::{MediaConnection, MediaStatusEnum};
use crate::{
    base::{Result, pagination::PageRequest},
    graphql::{guard::RequirePermission, pagination::compute_connection_cost},
    identity::Permission,
    media::queries::MediaFilter,
};

/// Filter for pictures. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "MediaFilter")]
pub struct MediaFilterInput {
    /// Status.
    status: Option<MediaStatusEnum>,
}

/// Queries of pictures.
#[derive(Debug, Default)]
pub struct MediaQuery;

#[Object]
impl MediaQuery {
    /// Pictures of the shop, newest first, paginated. One picture: `node`.
    #[graphql(
        guard = "RequirePermission(Permission::CatalogWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    #[expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]
    async fn media(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<MediaFilterInput>,
    ) -> Result<Option<MediaConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let MediaFilterInput { status } = filter.unwrap_or_default();
        Ok(Some(MediaConnection::new(MediaFilter { status: status.map(Into::into) }, page_request)))
    }
}
