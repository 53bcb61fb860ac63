package apitype

// CLICode redeems what the browser brought to the command line's loopback address: POST /api/v1/login/cli/token,
// answered by a CLIToken. The sign-in itself starts in the browser at
// /login/cli?challenge=…&state=…&redirect=http://127.0.0.1:PORT/…[&provider=…].
type CLICode struct {
	Code     string `json:"code"`
	Verifier string `json:"verifier" doc:"what challenge is the S256 of"`
}

// DeviceStart answers POST /api/v1/login/device: a sign-in for a machine without a browser (as RFC 8628).
type DeviceStart struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code" doc:"people type it at verification_uri"`
	Verify     string `json:"verification_uri"`
	VerifyFull string `json:"verification_uri_complete" doc:"with the user code filled in"`
	ExpiresIn  int    `json:"expires_in" doc:"seconds"`
	Interval   int    `json:"interval" doc:"seconds to wait between two questions"`
}

// DeviceAsk is the question for it: POST /api/v1/login/device/token. 200 is a CLIToken, 202 a DeviceWait, 403 a
// refusal by the person or a code that has expired.
type DeviceAsk struct {
	DeviceCode string `json:"device_code"`
}

// DeviceWait says that nobody has answered yet. After "slow_down" the interval has grown.
type DeviceWait struct {
	Status   string `json:"status" doc:"pending or slow_down"`
	Interval int    `json:"interval"`
}

// SignedOut answers POST /logout for callers that accept JSON: go to Redirect, which ends the provider's session too.
type SignedOut struct {
	Redirect string `json:"redirect"`
}

// PersonSignOut asks that a person is signed out everywhere.
type PersonSignOut struct {
	User   string `json:"user" maxLength:"320" doc:"Name, user name or subject of somebody who has signed in here"`
	Reason string `json:"reason" maxLength:"500" doc:"For the log"`
}

// PersonSignedOut says how many browsers and command lines were signed out.
type PersonSignedOut struct {
	Ended   int    `json:"ended"`
	Name    string `json:"name"`
	Subject string `json:"subject" doc:"At the person's identity provider"`
}
