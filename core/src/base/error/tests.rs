use super::*;

#[test]
fn sqlstate_is_classified_as_lost_transient_or_permanent() {
    for code in ["08006", "08P01", "57P01", "57P02", "57P03", "25P03"] {
        assert!(is_connection_lost_code(code), "{code}");
    }
    for code in ["57014", "55P03", "40P01", "40001", "53100", "53300", "58030", "25006"] {
        assert!(is_transient_code(code) && !is_connection_lost_code(code), "{code}");
    }
    for code in ["23505", "42601", "25P02", "22003", "XX000"] {
        assert!(!is_transient_code(code) && !is_connection_lost_code(code), "{code}");
    }
}

#[test]
fn sqlite_code_is_classified_as_transient_or_permanent() {
    assert!([5, 10, 13].into_iter().all(is_transient_sqlite_code));
    assert!(![1, 8, 19].into_iter().any(is_transient_sqlite_code));
}

#[test]
fn lost_connection_is_unavailable_and_other_error_is_internal() {
    let connection_reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let driver_error = |error: sqlx::Error| RuntimeErr::SqlxError(Arc::new(error));
    let outages = [
        DbErr::Query(driver_error(sqlx::Error::Io(connection_reset()))),
        DbErr::Exec(driver_error(sqlx::Error::Io(connection_reset()))),
        DbErr::Query(driver_error(sqlx::Error::PoolTimedOut)),
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
    ];
    for error in outages {
        assert_eq!(Error::from(error).to_public_error().code, PublicErrorCode::Unavailable);
    }
    let internal_errors = [DbErr::Custom("x".into()), DbErr::Query(driver_error(sqlx::Error::RowNotFound))];
    for error in internal_errors {
        assert_eq!(Error::from(error).to_public_error().code, PublicErrorCode::Internal);
    }
}
