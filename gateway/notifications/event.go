package notifications

import (
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// Event is what a notification says. It is stored with the notification, so every attempt says the same. A webhook of the format
// json gets it as data.
type Event struct {
	Kind      string     `json:"-"`
	At        time.Time  `json:"-"`
	Request   string     `json:"request,omitempty"`
	Link      string     `json:"link"`
	Device    string     `json:"device,omitempty"`
	Site      string     `json:"site,omitempty"`
	Requester string     `json:"requester,omitempty"`
	Actions   []string   `json:"actions,omitempty"`
	Minutes   int        `json:"minutes,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Ticket    string     `json:"ticket,omitempty"`
	Rule      string     `json:"rule,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"` // of a pending request
	Until     *time.Time `json:"until,omitempty"`   // of a grant
	By        []string   `json:"by,omitempty"`      // who approved, denied or withdrew
	Answer    string     `json:"answer,omitempty"`  // in their words
	ReviewBy  *time.Time `json:"review_by,omitempty"`
}

// envelope is the document of the Standard Webhooks specification.
type envelope struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Event     `json:"data"`
}

// Bounds on texts of other people, in characters.
const (
	longName   = 100
	longText   = 500
	mostListed = 20
)

func (o *Outbox) event(kind string, q store.Request) Event {
	e := Event{Kind: kind, At: o.cfg.Now().UTC().Truncate(time.Second), Request: q.ID, Link: o.cfg.Site + "/requests/" + q.ID,
		Device: notify.Line(string(q.Device), longName), Site: notify.Line(q.Site, longName), Requester: notify.Line(q.Name, longName),
		Actions: lines(q.Actions, longName), Minutes: int(q.For / time.Minute), Reason: notify.Line(q.Reason, longText),
		Ticket: notify.Line(q.Ticket, longName), Rule: notify.Line(q.Rule, longName)}
	if e.Requester == "" {
		e.Requester = notify.Line(q.Who.Subject, longName)
	}
	switch kind {
	case Asked:
		e.Expires = when(q.Expires)
	case Granted:
		e.Until = when(q.Until)
		for _, a := range q.Approvals {
			e.By = append(e.By, notify.Line(a.Name, longName))
		}
	case Emergency, Overdue:
		e.Until, e.ReviewBy = when(q.Until), when(q.ReviewBy)
	case Denied, Withdrawn:
		e.By, e.Answer = lines([]string{q.By}, longName), notify.Line(q.Answer, longText)
	}
	return e
}

// lines makes plain text of the first texts of a list.
func lines(all []string, most int) (out []string) {
	for _, text := range all[:min(len(all), mostListed)] {
		out = append(out, notify.Line(text, most))
	}
	if len(all) > mostListed {
		out = append(out, "…")
	}
	return out
}

func when(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

func (e Event) marshal() []byte {
	raw, err := json.Marshal(envelope{e.Kind, e.At, e})
	if err != nil {
		panic(err) // strings and times alone
	}
	return raw
}

func parseEvent(raw []byte) (Event, error) {
	var in envelope
	if err := json.Unmarshal(raw, &in); err != nil {
		return Event{}, err
	}
	in.Data.Kind, in.Data.At = in.Type, in.Timestamp
	return in.Data, nil
}
