DROP TABLE api_key;
DROP TABLE signing_key;
DROP TABLE oidc_login_state;
DROP TABLE one_time_token;
DROP TABLE refresh_token;
DROP TABLE session;
DROP TABLE account_identity;
DROP TABLE account;
