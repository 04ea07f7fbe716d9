"""Addresses of the pages for people."""

from django.urls import path

from portal import (
    account,
    account_factors,
    api_keys,
    emergency,
    second_step,
    share_links,
    sharing,
    sign_in,
    single_sign_on,
    studies,
    study,
)

urlpatterns = [
    path("", studies.study_list, name="study-list"),
    path("studies/<str:study>/", study.study_page, name="study-page"),
    path("accounts/login/", sign_in.page, name="login"),
    path("accounts/login/second-factor", second_step.prove, name="second-factor"),
    path("accounts/login/set-up", second_step.set_up, name="second-factor-set-up"),
    path("accounts/logout/", sign_in.leave, name="logout"),
    path("account/", account.overview, name="account"),
    path("account/password", account.password, name="account-password"),
    path("account/confirm", account.confirm, name="account-confirm"),
    path("account/recovery-codes", account.recovery_codes, name="account-recovery"),
    path("account/sessions/end", account.end_others, name="account-end-others"),
    path("account/sessions/<uuid:session>/end", account.end_one, name="account-end"),
    path("account/second-factors/app", account_factors.app, name="account-app"),
    path("account/second-factors/passkey", account_factors.passkey, name="account-passkey"),
    path("account/second-factors/<uuid:factor>", account_factors.factor, name="account-factor"),
    path("account/keys/", api_keys.keys, name="account-keys"),
    path("account/keys/new", api_keys.new_key, name="account-key-new"),
    path("account/keys/<uuid:key>/revoke", api_keys.end_key, name="account-key-end"),
    path("account/keys/apps/<uuid:session>/end", api_keys.end_app, name="account-app-end"),
    path("accounts/sso/", single_sign_on.begin_page, name="sso"),
    path("accounts/sso/return", single_sign_on.return_page, name="sso-return"),
    path("emergency/", emergency.page, name="emergency"),
    path("emergency/<uuid:access>/end", emergency.end_now, name="emergency-end"),
    path("sharing/", sharing.shared, name="shared"),
    path("sharing/<str:study>/", sharing.share, name="share"),
    path("sharing/<uuid:link>/revoke", sharing.end, name="share-end"),
    path("s/", share_links.page, name="open-link"),
    path("s/open", share_links.open_link, name="open-link-exchange"),
    path("share/token", share_links.token, name="share-token"),
]
