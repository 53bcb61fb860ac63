package main

import "testing"

func TestPasswordIsFoundInAURLOfAnyShape(t *testing.T) {
	for arg, want := range map[string]string{
		"http://plant:s3cret@10.0.0.1:3128":         "http://plant:@10.0.0.1:3128",
		"--proxy=http://plant:s3c:r@t@10.0.0.1:1":   "--proxy=http://plant:@10.0.0.1:1",
		"http://s3cret@10.0.0.1:3128":               "http://@10.0.0.1:3128",
		"plant:s3cret@10.0.0.1":                     "plant:@10.0.0.1",
		"socks5://[::1]:1080":                       "socks5://[::1]:1080",
		"--state":                                   "--state",
		"sp1-eeqscijbeeqscijbeeqscijbeeqscijbeerci": "sp1-eeqscijbeeqscijbeeqscijbeeqscijbeerci",
		"": "",
	} {
		from, to := passwordIn(arg)
		if got := arg[:from] + arg[to:]; got != want {
			t.Errorf("%s: got %q left, want %q", arg, got, want)
		}
	}
}
