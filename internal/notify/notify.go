// Package notify sends one message to one receiver: a mail to a mail server, or a JSON document to a webhook. It knows
// addresses and texts. Who is told what, and when to try again, is decided by gateway/notifications.
//
// # What a message must not become
//
// Messages contain names, reasons and tickets that people typed. None of them may add a header to a mail, a second
// receiver, a mention of a whole chat channel, or characters that hide or turn text. Line removes such characters, and
// the senders check what they put into a header again.
//
// # What a receiver can check
//
// A mail keeps its Message-ID and a webhook its webhook-id in every attempt, so a receiver can drop a repeat. A webhook
// is signed as the Standard Webhooks specification says (https://www.standardwebhooks.com). Receiver is the other end.
//
// # What it connects to
//
// Mail: with TLS, unless the server is on this host. Webhook: https, unless the receiver is on this host; no redirect is
// followed, and link-local addresses, where clouds offer credentials, are refused. It imports nothing of the gateway.
package notify

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/plain"
)

// permanent is an error that another attempt cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error as one that another attempt cannot mend, such as an address that is not one.
func Permanent(err error) error { return permanent{err} }

// Own marks an error as one of this message alone, such as a full mailbox. Others can be sent meanwhile.
func Own(err error) error { return own{err} }

// IsOwn reports whether an error is marked by Own or Permanent.
func IsOwn(err error) bool { return errors.As(err, new(own)) || IsPermanent(err) }

type own struct{ error }

func (o own) Unwrap() error { return o.error }

// IsPermanent reports whether an error is marked by Permanent.
func IsPermanent(err error) bool { return errors.As(err, new(permanent)) }

// Line makes one line of plain text of a text: control characters and characters that are not seen or turn the direction
// of writing become spaces, runs of white space become one space, and the rest is cut to at most most characters.
func Line(text string, most int) string {
	spaced := strings.Map(func(r rune) rune {
		if plain.Steers(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	runes := []rune(strings.Join(strings.Fields(spaced), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}
