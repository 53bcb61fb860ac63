package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

func TestAWatchedSessionIsShownUntilTheGatewayEndsIt(t *testing.T) {
	stretch := func(stream uint8, text string) (s apitype.Written) {
		return apitype.Written{At: 1, Stream: stream, Data: []byte(text)}
	}
	shown := []apitype.Written{stretch(1, "out\n"), stretch(0, ""), stretch(2, "error\n"), stretch(1, "more\n")}
	for name, c := range map[string]struct {
		in   []apitype.Written
		cut  int
		want string
	}{
		"the channel ended": {shown, 0, ""},
		"the right ended":   {append(shown, stretch(0, "you may no\x1b longer")), 0, "you may no longer"},
		"the line broke":    {shown, 2, "what came is not all"},
	} {
		t.Run(name, func(t *testing.T) {
			var in, out, errs bytes.Buffer
			for _, s := range c.in {
				apitype.WriteWritten(&in, s)
			}
			in.Truncate(in.Len() - c.cut)
			err := watch(&in, &out, &errs)
			if c.cut == 0 && (out.String() != "out\nmore\n" || errs.String() != "error\n") {
				t.Errorf("got %q and %q", out.String(), errs.String())
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if strings.HasPrefix(c.want, "you") && errkind.KindOf(err) != errkind.Denied {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}
