"""What counts as a fault for schemathesis: any 5xx, but a 503 that says what does not answer and when
to come again, and a 502 that is named.
"""

import schemathesis


@schemathesis.check
def no_server_fault(ctx, response, case):
    if response.status_code < 500:
        return
    kind = response.headers.get("content-type", [""])[0]
    promised = response.status_code == 503 and "retry-after" in response.headers
    assert promised and kind == "application/problem+json", f"{response.status_code}: {response.text[:500]}"


@schemathesis.hook
def map_body(ctx, body):
    # A reconcile that waits a minute for nothing new would take all the time there is.
    if ctx.operation.path == "/api/v1/reconcile" and isinstance(body, dict):
        body = {**body, "wait_s": 0}
    return body
