package deploy_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const dashboardPath = "grafana/dashboards/sse-gateway.json"

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	Panels []panel `json:"panels"`
}

type dashboard struct {
	Panels      []panel `json:"panels"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
			Current    struct {
				Value any `json:"value"`
			} `json:"current"`
		} `json:"list"`
	} `json:"templating"`
}

func loadDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardPath)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries returns every query with the panel it is of.
func (d dashboard) queries() map[string]string {
	q := map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			q[target.Expr] = "panel " + p.Title
		}
	}
	for _, a := range d.Annotations.List {
		q[a.Expr] = "annotation"
	}
	for _, v := range d.Templating.List {
		if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			q[inner[:strings.LastIndex(inner, ",")]] = "variable " + v.Name
		}
	}
	return q
}

func TestDashboardAsksForWhatIsExported(t *testing.T) {
	e := exportedSeries(t)
	queries := loadDashboard(t).queries()
	for query, where := range queries {
		requireSeries(t, e, where, query)
	}
	if len(queries) < 30 {
		t.Errorf("only %d queries: the test looks in the wrong place", len(queries))
	}
}

// Prometheus itself reads every query, as a rule made of it.
func TestDashboardQueriesAreValid(t *testing.T) {
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", "sse-gateway", "$instance", ".*")
	var group struct {
		Groups []map[string]any `yaml:"groups"`
	}
	var all []map[string]string
	for query := range loadDashboard(t).queries() {
		filled := fill.Replace(query)
		if strings.Contains(filled, "$") {
			t.Errorf("a variable that the dashboard lacks: %s", query)
		}
		all = append(all, map[string]string{"record": "dashboard:query" + strconv.Itoa(len(all)), "expr": filled})
	}
	group.Groups = []map[string]any{{"name": "dashboard", "rules": all}}
	out, err := yaml.Marshal(group)
	if err != nil {
		t.Fatal(err)
	}
	check(t, nil, promtool(t), "check", "rules", "--lint=none", writeTemp(t, "queries.yml", string(out)))
}

// Whoever is on call reads from the top: the order of the rows is the order of
// the questions. Every panel says what it shows, and none covers another.
func TestDashboardReadsFromTheTop(t *testing.T) {
	d := loadDashboard(t)
	var rows []string
	ids := map[int]bool{}
	cells := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: id %d occurs twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q covers %q, or is beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, strings.ToLower(p.Title))
			if len(p.Panels) > 0 {
				t.Errorf("row %q is folded", p.Title)
			}
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks title, description or query", p.ID, p.Title)
		}
	}
	want := []string{"well", "connections", "events", "latency", "resumes", "redis", "refusals", "processes"}
	if len(rows) != len(want) {
		t.Fatalf("rows are %q, want %q", rows, want)
	}
	for i := range rows {
		if !strings.Contains(rows[i], want[i]) {
			t.Errorf("row %d is %q, want %s", i, rows[i], want[i])
		}
	}
}

// The dashboard's data source is the one that is provisioned, which is the
// service of docker-compose.yml; and the dashboard lies where Grafana looks.
func TestGrafanaProvisioning(t *testing.T) {
	var sources struct {
		Datasources []struct{ UID, Type, URL string }
	}
	decode(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	if len(sources.Datasources) != 1 || sources.Datasources[0].URL != "http://prometheus:9090" {
		t.Fatalf("data sources are %v", sources.Datasources)
	}
	for _, v := range loadDashboard(t).Templating.List {
		if v.Name == "datasource" && v.Current.Value != sources.Datasources[0].UID {
			t.Errorf("the dashboard begins with data source %v, provisioned is %s", v.Current.Value, sources.Datasources[0].UID)
		}
	}
	var dashboards struct {
		Providers []struct {
			Options struct{ Path string }
		}
	}
	decode(t, "grafana/provisioning/dashboards/dashboards.yml", &dashboards)
	path := dashboards.Providers[0].Options.Path
	grafana := compose(t).Services["grafana"]
	if !slices.Contains(grafana.Volumes, "./deploy/grafana/dashboards:"+path+":ro") {
		t.Errorf("the dashboards are not mounted at %s", path)
	}
	if home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]; home != path+"/"+filepath.Base(dashboardPath) {
		t.Errorf("the home page is %s", home)
	}
}
