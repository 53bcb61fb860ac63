package cedar

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// ask makes a question that somebody could ask in this world: near to what a rule or a grant gives, and often beside it.
func (d dice) ask(w world) question {
	r := one(d, w.policy.Allows...)
	q := question{Who: one(d, accounts...), Device: one(d, devs...), Labels: map[string]string{}, Live: d.IntN(3), Attended: !d.in(3), At: d.when(w)}
	if len(w.grants) > 0 && d.in(2) {
		g := one(d, w.grants...)
		q.Who, q.Device = g.Who, g.Device
		if d.in(2) {
			q.At = one(d, g.From, g.Until).Add(d.nudge())
		}
		if of, ok := w.policy.request(g.Rule); ok {
			r = of
		}
	}
	if !d.in(4) {
		q.Ticket = "T-1"
	}
	d.dress(w, &q, r)
	d.furnish(w, &q, r)
	q.Kind, q.Arg, q.Argv = d.want(w.policy.Roles[r.Role])
	return q
}

// when takes a moment near the world's, often one at which hours begin or end.
func (d dice) when(w world) time.Time {
	if len(w.edges) > 0 && d.in(2) {
		return one(d, w.edges...).Add(d.nudge())
	}
	return w.around.Add(time.Duration(d.IntN(8*24*60)-4*24*60) * time.Minute)
}

func (d dice) nudge() time.Duration {
	return one(d, 0, 0, -time.Millisecond, time.Millisecond, time.Minute, -time.Minute)
}

// dress gives the asker groups or a machine's name, and evidence.
func (d dice) dress(w world, q *question, r rule) {
	for _, g := range append(w.policy.Groups, "everyone", "machine:m1", "other") {
		if d.in(4) {
			q.Groups = append(q.Groups, g)
		}
	}
	if of := r.groups(); len(of) > 0 && !r.everyone() && !d.in(4) && !slices.Contains(q.Groups, of[0]) {
		q.Groups = append(q.Groups, of[0])
	}
	if of := r.machines(); len(of) > 0 && d.in(2) {
		q.Machine, q.Token = of[0], true
	} else if d.in(12) {
		q.Machine, q.Token = "m3", true
	}
	q.Token = q.Token || d.in(8)
	if !d.in(6) {
		q.Address = one(d, "192.0.2.9", "::ffff:192.0.2.9", "198.51.100.7", "203.0.113.1", "2001:db8::5")
	}
	began := q.At
	if d.in(4) {
		q.Opened = q.At.Add(-one(d, 5*time.Minute, 2*time.Hour))
		began = q.Opened
	}
	if !d.in(6) {
		ago := one(d, 0, -time.Minute, -time.Minute-time.Millisecond, 90*time.Second, 30*time.Minute, 30*time.Minute+time.Millisecond, 80*time.Minute, 7*24*time.Hour, 300*time.Hour)
		q.Factor = began.Add(-ago)
	}
}

// furnish gives the device labels: mostly such as the rule wants.
func (d dice) furnish(w world, q *question, r rule) {
	for _, name := range slices.Sorted(maps.Keys(w.policy.Labels)) {
		l := w.policy.Labels[name]
		if l.Needed || d.in(2) {
			q.Labels[name] = one(d, append([]string{"1", "2"}, l.OneOf...)[2*min(1, len(l.OneOf)):]...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.labels())) {
		v := r.labels()[name]
		if !d.in(8) {
			q.Labels[name] = one(d, words(v)...)
		}
		if v == "*" {
			q.Labels[name] = "2"
		}
	}
	switch d.IntN(20) {
	case 0:
		q.Labels[one(d, "kind", "hall", "other")] = one(d, "z", "", "a")
	case 1:
		q.Labels["kind"] = "z"
	case 2:
		delete(q.Labels, "kind")
	}
	q.Site = one(d, "s1", "s1", "s2", "")
}

// want chooses an action: one that the role gives, or one beside it.
func (d dice) want(r role) (kind, arg string, argv []string) {
	beside := one(d, "", "", "", "x", "/x", "/..x")
	var out [][3]any
	add := func(kind, arg string, argv []string) { out = append(out, [3]any{kind, arg, argv}) }
	if r.Shell != nil {
		add("shell", one(d, append(r.Shell.As, "other")...), nil)
	}
	if r.Run != nil {
		for _, argv := range r.Run.Argv {
			add("run", one(d, append(slices.Clone(r.Run.As), "other")...), d.fill(argv))
		}
	}
	if r.Files != nil {
		for _, dir := range append(slices.Clone(r.Files.Read), r.Files.Write...) {
			add(one(d, "files.read", "files.write"), strings.TrimSuffix(dir, "/")+one(d, beside, "/x"), nil)
		}
	}
	for _, port := range r.Ports {
		add("ports", one(d, port, "plc.local:10"), nil)
	}
	for _, page := range r.Web {
		add("web", one(d, page, "hmi2"), nil)
	}
	if r.Desktop != "" {
		add(one(d, "desktop.view", "desktop.control"), "", nil)
	}
	if d.in(6) {
		out = [][3]any{{"shell", "root", []string(nil)}, {"run", "svc", []string{"/bin/x", "b"}}, {"files.read", "/var/log/x", []string(nil)}, {"files.write", "/opt/a/in", []string(nil)}, {"desktop.view", "", []string(nil)}}
	}
	a := one(d, out...)
	if strings.HasPrefix(a[0].(string), "files") {
		a[1] = "/" + strings.TrimPrefix(a[1].(string), "/")
	}
	return a[0].(string), a[1].(string), a[2].([]string)
}

// fill puts words where a command has places for them, fitting ones and others.
func (d dice) fill(argv []string) []string {
	out := slices.Clone(argv)
	for i, w := range out {
		switch w {
		case "{word}":
			out[i] = one(d, "b", "a.b-c_9", "7", "-b", ".b", "", "a b", "ä", "{word}", "b\n", strings.Repeat("w", 64), strings.Repeat("w", 65))
		case "{number}":
			out[i] = one(d, "7", "077", "7a", "-7", "", "٣", "123456789012345678", "1234567890123456789")
		}
	}
	switch d.IntN(12) {
	case 0:
		out = append(out, "a")
	case 1:
		out = out[:len(out)-1]
	}
	return out
}
