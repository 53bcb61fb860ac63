package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/web/apitype"
)

type retentionCmd struct {
	Report retentionReportCmd `cmd:"" help:"Show from when recordings may be deleted. Deletes nothing."`
}

type retentionReportCmd struct {
	JSON bool   `name:"json" help:"Print JSON, for programs."`
	By   string `enum:"month,class" default:"month" placeholder:"month|class" help:"Sum up by the month of the date, or by class."`
}

func (*retentionReportCmd) Help() string {
	return `When a session begins, the log promises to keep its recording until a date: keep_at_least in [recording], as it
was then. The gateway copies that date into its database. This report sums up the rows of the database by date. It reads
neither the log nor the recordings: ` + "`sallyport sessions verify`" + ` and ` + "`sallyport-verify`" + ` do. Recordings without
a row are not in the report, for example those made after a backup that was restored.

DUE counts the recordings whose date has passed by the clock of the gateway. OLDEST is when the oldest recording began.

Classes:
  routine      The database has the recording's entry in the log and its end.
  running      It has the entry and no end: the session runs, or the recording was missing when the gateway started.
  unannounced  It has no entry, so it has no date. The session is being opened, or it was refused, or the gateway
               crashed before the log announced it. A device starts nothing without the entry.

SIZE is that of the containers as they were when they ended, without their key files of about 1 KB. A recording without
an end counts as 0 bytes.

This release deletes no recordings. Needs the duty review or administer.`
}

func (c *retentionReportCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var r apitype.Retention
	if err := cl.Get(a.context(), "/api/v1/retention/report", nil, &r); err != nil {
		return err
	}
	if c.By == "class" {
		r.Groups = byClass(r.Groups)
	}
	if c.JSON {
		return a.json(r)
	}
	if len(r.Groups) == 0 {
		fmt.Fprintln(a.stderr, "The database has no recordings.")
		return nil
	}
	err = show(a, listing{}, append(r.Groups, sumOf(r.Groups)), "",
		"CLASS UNTIL RECORDINGS SIZE DUE DUE-SIZE OLDEST FIRST-DUE", func(g apitype.Retained) []string {
			return []string{g.Class, g.Month, strconv.Itoa(g.Recordings), size(g.Bytes), strconv.Itoa(g.Due),
				size(g.DueBytes), day(g.Oldest), day(g.First)}
		})
	if err == nil {
		fmt.Fprintln(a.stderr, "From the database of the gateway, not from the log. This release deletes no recordings.")
	}
	return err
}

// byClass sums up the groups of each class, in the order of their first appearance.
func byClass(in []apitype.Retained) (out []apitype.Retained) {
	at := map[string]int{}
	for _, g := range in {
		i, ok := at[g.Class]
		if !ok {
			i = len(out)
			at[g.Class], out = i, append(out, apitype.Retained{Class: g.Class})
		}
		out[i] = added(out[i], g)
	}
	return out
}

func sumOf(in []apitype.Retained) apitype.Retained {
	total := apitype.Retained{Class: "all"}
	for _, g := range in {
		total = added(total, g)
	}
	return total
}

func added(a, b apitype.Retained) apitype.Retained {
	a.Recordings, a.Bytes, a.Due, a.DueBytes = a.Recordings+b.Recordings, a.Bytes+b.Bytes, a.Due+b.Due,
		a.DueBytes+b.DueBytes
	a.Oldest, a.First = earlier(a.Oldest, b.Oldest), earlier(a.First, b.First)
	return a
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// day is a date in UTC, as the retention times are.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// size is a number of bytes as people read it, in units of 1000.
func size(n int64) string {
	unit, name := int64(1), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if n/unit < 1000 {
			break
		}
		unit, name = unit*1000, next
	}
	if unit == 1 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", float64(n)/float64(unit), name)
}
