package oidcauth

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/internal/errkind"
)

// ErrEnded is in the chain when a provider says that a sign-in is over: the refresh token is no longer good.
var ErrEnded = errors.New("the provider has ended this sign-in")

// refused says that an answer did not pass a check. Why is for the log: whoever forges tokens learns nothing from us.
func (p *Provider) refused(why string) error { return p.refusedFor(errors.New(why)) }

func (p *Provider) refusedFor(why error) error {
	return errkind.New(errkind.Signin, fmt.Sprintf("the answer of %s did not pass our checks, so you are not signed in", p.cfg.ShownAs)).
		WithHint("Sign in again. If this continues, tell the gateway's administrator: the log names the failed check.").
		Because(why)
}

func (p *Provider) unreachable(cause error) error {
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s cannot be reached, so nobody can sign in with it now", p.cfg.ShownAs)).
		WithHint("Try again in a minute, or sign in another way.").Because(cause)
}

// noAnswer reports that claims could not be requested.
func (p *Provider) noAnswer(cause error) error {
	return errkind.New(errkind.Unavailable,
		fmt.Sprintf("the id token of %s lacks your groups, and its userinfo endpoint did not return them",
			p.cfg.ShownAs)).
		WithHint("Try again in a minute. If this continues, the gateway's administrator finds the cause in the log.").
		Because(cause)
}

// askedOften is the error for a person whose requests at userinfo are used up.
func (p *Provider) askedOften() error {
	return errkind.New(errkind.Unavailable,
		fmt.Sprintf("%s was asked for your groups too often in a short time", p.cfg.ShownAs)).
		WithHint("Try again in a minute. If you did not sign in many times, tell the gateway's administrator.").
		Because(errAskedOften)
}

func (p *Provider) misconfigured(what, hint string) error {
	return errkind.New(errkind.Unavailable, fmt.Sprintf("sign-in with %s is not set up right: %s", p.cfg.ShownAs, what)).WithHint(hint)
}

// clock says that times do not fit, which is a clock more often than an attack.
func (p *Provider) clock(what string) error {
	return errkind.New(errkind.Signin, fmt.Sprintf("the answer of %s is %s by this gateway's clock", p.cfg.ShownAs, what)).
		WithHint("Sign in again. If it stays so, one of the two clocks is wrong: whoever runs the gateway checks that its time is synchronised.")
}

// answered explains an error that the provider sent through the browser. Its description is not shown: it is the
// provider's text, or anybody's.
func (p *Provider) answered(code, description string) error {
	because := fmt.Errorf("authorization error %s", knownCode(code))
	switch {
	case code == "access_denied":
		return errkind.New(errkind.Denied, fmt.Sprintf("%s did not let you in, or you said no there", p.cfg.ShownAs)).
			WithHint("Whoever runs that account system says who may use this gateway.").Because(because)
	case code == "login_required", code == "interaction_required":
		return errkind.New(errkind.Signin, fmt.Sprintf("%s wants you to sign in again", p.cfg.ShownAs)).Because(because)
	case code == "temporarily_unavailable", code == "server_error":
		return p.unreachable(because)
	case strings.Contains(description, "redirect"):
		return p.wrongRedirect().Because(because)
	}
	if code == "invalid_scope" {
		return p.misconfigured("it answered invalid_scope to one of the requested scopes",
			"Write scopes in [[identity]] without the one that it refuses: docs/identity.md.")
	}
	return p.misconfigured("it answered "+knownCode(code), "Compare client id, redirect URI and scopes at the provider with the configuration.")
}

func (p *Provider) wrongRedirect() *errkind.Error {
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s does not take this gateway's redirect URI", p.cfg.ShownAs)).
		WithHint(fmt.Sprintf("Register exactly %s at the provider: scheme, host, port and path, without a slash at the end.", p.cfg.RedirectURL))
}

// exchange explains a failed token request without its body.
func (p *Provider) exchange(err error) error {
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) {
		return p.unreachable(withoutBody(err))
	}
	because := fmt.Errorf("token endpoint answered %d %s", r.Response.StatusCode, knownCode(r.ErrorCode))
	switch r.ErrorCode {
	case "invalid_client", "unauthorized_client":
		e := errkind.New(errkind.Unavailable, fmt.Sprintf("%s does not accept this gateway's client id or secret", p.cfg.ShownAs))
		return e.WithHint("Compare client_id and client_secret_file with what the provider shows; secrets expire. " +
			"The gateway reads the secret at its start, so restart it after a change.").Because(because)
	case "redirect_uri_mismatch":
		return p.wrongRedirect().Because(because)
	case "invalid_grant":
		e := errkind.New(errkind.Signin, "this sign-in was used already, or took too long")
		return e.WithHint("Sign in again.").Because(errors.Join(because, ErrEnded))
	}
	return p.unreachable(because)
}

// withoutBody keeps only errors whose text is ours or the network's.
func withoutBody(err error) error {
	if strings.HasPrefix(err.Error(), "oauth2: ") {
		return errors.New("the token endpoint's answer could not be read")
	}
	return err
}

// knownCode lets only codes of the specifications through to logs and pages.
func knownCode(code string) string {
	switch code {
	case "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error",
		"temporarily_unavailable", "interaction_required", "login_required", "account_selection_required", "consent_required",
		"invalid_client", "invalid_grant", "unsupported_grant_type", "redirect_uri_mismatch", "request_not_supported":
		return code
	}
	return "an unknown error"
}
