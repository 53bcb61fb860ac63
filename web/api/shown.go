package api

import (
	enchex "encoding/hex"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// when makes an absent time of a zero one.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

func hex(h [32]byte) string {
	if h == [32]byte{} {
		return ""
	}
	return enchex.EncodeToString(h[:])
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orInt(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// list makes an empty array of nothing: a listing is never null.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// asked is a device as the policy sees it.
func asked(d store.Device) authz.Device {
	return authz.Device{Name: d.Name, Site: d.Site, Labels: d.Labels}
}

func ways(in []authz.Way) []apitype.Way {
	var out []apitype.Way
	for _, w := range in {
		out = append(out, apitype.Way{Rule: w.Rule, Text: w.Text, Emergency: w.Emergency})
	}
	return out
}

func shownSession(who *Asker, s store.Session) apitype.Session {
	via := "web"
	if s.ViaToken != "" {
		via = "token"
	}
	record := s.Record
	if record == store.RecordNone {
		record = "empty"
	}
	return apitype.Session{
		ID: s.ID, Device: s.Device, Site: s.Site, User: or(s.PrincipalName, s.Principal.Subject), Subject: s.Principal.Subject, Login: s.Login,
		Action: s.Action, Argv: s.Argv, PTY: s.PTY, State: s.State, Asked: s.Asked.UTC(), Started: when(s.Started), Ended: when(s.Ended), Until: when(s.Until),
		Reason: s.EndReason, Purpose: s.Purpose, Ticket: s.Ticket, Rule: s.Rule, Via: via, Front: s.Front, Address: s.ClientAddr,
		ExitStatus: s.ExitStatus, ExitSignal: s.ExitSignal, BytesIn: s.BytesIn, BytesOut: s.BytesOut, Hidden: s.HiddenRanges, Gaps: s.Gaps,
		Record: record, Mine: who.opened(s),
	}
}
