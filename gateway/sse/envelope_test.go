package sse

import "testing"

func TestEnvelope(t *testing.T) {
	for name, tc := range map[string]struct {
		fields [][]byte
		want   string // "event" and "data"
	}{
		"no name":     {fieldsOf("data", "x"), `"event":"message","data":"x"`},
		"name":        {fieldsOf("data", "x", "event", "e\"\xff"), `"event":"e\"` + "\uFFFD" + `","data":"x"`},
		"lines":       {fieldsOf("data", "a\r\ndata: b\n\nevent: c\n"), `"event":"message","data":"a\ndata: b\n\nevent: c\n"`},
		"empty":       {fieldsOf("data", ""), `"event":"message","data":""`},
		"line ends":   {fieldsOf("data", "\n\n"), `"event":"message","data":"\n\n"`},
		"looks named": {fieldsOf("data", "event: x"), `"event":"message","data":"event: x"`},
		"no data":     {fieldsOf("k", "v"), `"event":"message","data":"{\"k\":\"v\"}"`},
		"bad name":    {fieldsOf("event", "gateway.gap", "data", "x"), `"event":"message","data":"x"`},
		"NUL":         {fieldsOf("data", "\x00"), `"event":"message","data":"\u0000"`},
	} {
		t.Run(name, func(t *testing.T) {
			frame := Encoder{}.EncodeEntry("orders", testID, tc.fields).Frame
			got := AppendEnvelope(nil, "orders", testID, WithoutID(frame))
			want := `data: {"channel":"orders","id":"1700000000000-7",` + tc.want + "}\n\n"
			if string(got) != want {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}
