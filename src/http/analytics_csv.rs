//! `GET /analytics.csv?from=…&to=…`: the daily figures as CSV, for staff, with their bearer token.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;

use super::{
    App, authentication::authenticate_request, request_id::RequestId, rest_response, url_parameters::QueryParameters,
};
use crate::{
    analytics::{csv_report::CsvReport, period::DayPeriod, state::AnalyticsState},
    base::{Error, Result},
    identity::Permission,
    infra::Db,
};

/// Query parameters.
#[derive(Debug, Deserialize)]
pub struct FigureParams {
    from: Option<String>,
    to: Option<String>,
}

/// Answers the daily figures of a period of at most 1,100 days, by channel and country, as they are read.
pub async fn handle_figures(
    State(app): State<Arc<App>>,
    QueryParameters(params): QueryParameters<FigureParams>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let request_info = match authenticate_request(&app, &headers, peer, &request_id).await {
        Ok(request_info) => request_info,
        Err(failure) => return rest_response::authentication_error_response(&request_id, &failure),
    };
    let db = app.state.request_db(request_info.caller.actor(), &request_id);
    let report = match request_info.caller.require_permission(Permission::AnalyticsRead) {
        Ok(()) => start_report(&app, &db, &params).await,
        Err(error) => Err(error),
    };
    match report {
        Ok(report) => stream_report(db, report),
        Err(error) => rest_response::error_to_response(&request_id, &error),
    }
}

async fn start_report(app: &App, db: &Db, params: &FigureParams) -> Result<CsvReport> {
    let day = |text: &Option<String>, field| {
        text.clone().ok_or_else(|| {
            Error::bad_input(field, format!("`{field}` is missing; write ?from=2026-01-01&to=2026-12-31"))
        })
    };
    let period = DayPeriod::parse(&day(&params.from, "from")?, &day(&params.to, "to")?)?;
    let time_zone = AnalyticsState::load(db).await?.time_zone;
    Ok(CsvReport::new(period, app.state.config.shop.currency, time_zone.name().to_owned()))
}

/// Streams a report. If the database fails, the response is broken off, so that it is not taken for complete.
fn stream_report(db: Db, report: CsvReport) -> Response {
    let parts = stream::try_unfold((db, report), async |(db, mut report)| {
        let part = report.next_part(&db).await.map_err(|error| {
            tracing::error!(error = error.log_message(), "writing the figures failed");
            std::io::Error::other("the figures cannot be read")
        })?;
        Ok::<_, std::io::Error>(part.map(|part| (Bytes::from(part), (db, report))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"analytics.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::OK, headers, Body::from_stream(parts)).into_response()
}
