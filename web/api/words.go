package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2/validation"
)

// What is wrong with a request, in our words: it is read by whoever called, mostly through a command of ours. Each goes on from
// the name of what is wrong.
func init() {
	validation.MsgUnexpectedProperty = "is not known here"
	validation.MsgExpectedRequiredProperty = "lacks %q"
	validation.MsgExpectedRFC3339DateTime = noTime
	validation.MsgExpectedBoolean = noBool
	validation.MsgExpectedNumber = noNumber
	validation.MsgExpectedInteger = noInteger
	validation.MsgExpectedString = "is no text"
	validation.MsgExpectedArray = "is no list"
	validation.MsgExpectedObject = "is no object"
	validation.MsgExpectedOneOf = "is none of %s"
	validation.MsgExpectedMinimumNumber = "is less than %v"
	validation.MsgExpectedMaximumNumber = "is more than %v"
	validation.MsgExpectedMinLength = "is shorter than %d characters"
	validation.MsgExpectedMaxLength = "is longer than %d characters"
	validation.MsgExpectedMinItems = "has fewer than %d entries"
	validation.MsgExpectedMaxItems = "has more than %d entries"
}

const (
	noTime    = "is no time such as 2026-01-31T12:00:00Z"
	noBool    = "is neither true nor false"
	noNumber  = "is no number"
	noInteger = "is no whole number"
)

// parsed are the words for what huma says when it reads addresses, where nothing can be set.
var parsed = []struct{ said, words string }{
	{"invalid integer", noInteger}, {"invalid float", noNumber}, {"invalid boolean", noBool}, {"invalid date/time", noTime},
	{"unknown query parameter", "is not known here"}, {"required query parameter is missing", "is missing"},
}

func inWords(said string) string {
	for _, p := range parsed {
		if strings.HasPrefix(said, p.said) {
			return p.words
		}
	}
	return said
}

// mistake says what is wrong with what: body.purpose is the field purpose, query.size the parameter size.
func mistake(where, what string) string {
	if where == "" {
		return what
	}
	if _, name, inside := strings.Cut(where, "."); inside {
		return fmt.Sprintf("%q %s", name, what)
	}
	return "the " + where + " " + what
}

// unreadable says in words why a body cannot be read as JSON.
func unreadable(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && strings.Contains(syntax.Error(), "unexpected end"):
		return errors.New("is no JSON: it ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("is no JSON: what stands at byte %d does not belong there", syntax.Offset)
	}
	return fmt.Errorf("cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// ownWords says what huma says of a request as a whole.
func ownWords(said string) string {
	switch {
	case strings.HasPrefix(said, "request body is required"):
		return "the body is missing: this call takes a JSON object"
	case strings.HasPrefix(said, "request body is too large"):
		return "the body is too large" + strings.Replace(strings.TrimPrefix(said, "request body is too large"), " limit=", ": it can have ", 1)
	}
	return said
}

// hintFor gives what to do about a status of huma's own.
func hintFor(status int) string {
	switch status {
	case 413:
		return "Send less at once."
	case 415:
		return "Send JSON, and say so: Content-Type: application/json."
	}
	return "What each call takes stands in /api/openapi.yaml of the gateway."
}
