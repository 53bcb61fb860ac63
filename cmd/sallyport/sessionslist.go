package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsListCmd struct {
	listing
	Mine   bool   `help:"Only your own."`
	Device string `placeholder:"D" help:"On this device."`
	User   string `placeholder:"U" help:"By this person: a name or the beginning of its words, a user name, or a subject."`
	State  string `placeholder:"S" help:"In this state: running, live, ended, closed, refused, …; several with commas between."`
	Text   string `placeholder:"TEXT" help:"With this in device, user, login, reason or ticket."`
	Since  string `placeholder:"TIME" help:"Asked for at or after: 2026-01-31, 2026-01-31T12:00:00Z, or 24h ago as 24h."`
	Page   int    `placeholder:"N" help:"Only this page. Default: everything."`
	Size   int    `placeholder:"N" default:"50" help:"Sessions on a page."`
}

func (c *sessionsListCmd) query() (url.Values, error) {
	q := url.Values{}
	for k, v := range map[string]string{"device": c.Device, "user": c.User, "state": c.State, "text": c.Text} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if c.Mine {
		q.Set("mine", "true")
	}
	if c.Since != "" {
		t, err := since(c.Since, time.Now())
		if err != nil {
			return nil, err
		}
		q.Set("from", t.UTC().Format(time.RFC3339))
	}
	return q, nil
}

// since reads a moment: a date, a time, or how long ago.
func since(text string, now time.Time) (time.Time, error) {
	if d, ok := parseSpan(text); ok {
		return now.Add(-d.Abs()), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError(fmt.Sprintf("%q is not a time", text), "Write 2026-01-31, 2026-01-31T12:00:00Z, or 24h for a day ago.")
}

func (c *sessionsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q, err := c.query()
	if err != nil {
		return err
	}
	rows, total, err := listSessions(a.context(), cl, q, c.Page, c.Size)
	if err != nil {
		return err
	}
	return show(a, c.listing, rows, c.none(total),
		"ID DEVICE USER LOGIN STATE STARTED ENDED REASON", func(s apitype.Session) []string {
			return []string{s.ID.String(), string(s.Device), s.User, s.Login, s.State, at(s.Started), at(s.Ended), s.Reason}
		})
}

// none says why the list is empty. total is how many sessions match.
func (c *sessionsListCmd) none(total int) string {
	if total > 0 {
		return fmt.Sprintf("Page %d is past the end: %s on %s.", c.Page, count(total, "session"),
			count((total+c.Size-1)/c.Size, "page"))
	}
	return "No session that you may see matches."
}

// listSessions reads one page, or all of them. total is how many sessions match.
func listSessions(ctx context.Context, cl *client.Client, q url.Values, page, size int) (out []apitype.Session,
	total int, err error) {
	one := page > 0
	if !one {
		page, size = 1, 500
	}
	for {
		var p apitype.SessionPage
		q.Set("page", strconv.Itoa(page))
		q.Set("size", strconv.Itoa(size))
		if err := cl.Get(ctx, "/api/v1/sessions", q, &p); err != nil {
			return nil, 0, err
		}
		out = append(out, p.Sessions...)
		if one || len(p.Sessions) < size {
			return out, p.Total, nil
		}
		page++
	}
}
