{{/* The name of everything in this release: the release's, with the chart's unless it is in it already. */}}
{{- define "operator.name" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if not (regexMatch "^[a-z]" $release) -}}
{{- fail (printf "the release's name %q does not do: Services begin with a letter." .Release.Name) -}}
{{- end -}}
{{- if contains .Chart.Name $release -}}
{{- $release | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" ($release | trunc 32 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "operator.name" .) -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: healthcare-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: healthcare-stack
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "operator.image" -}}
{{- $image := printf "%s/healthcare-operator:%s" .Values.image.registry (.Values.image.tag | default .Chart.AppVersion) -}}
{{- with .Values.image.digest }}{{ $image = printf "%s@%s" $image . }}{{ end -}}
{{- $image -}}
{{- end -}}

{{/* The namespaces that are watched, as a JSON list: the release's own first. */}}
{{- define "operator.namespaces" -}}
{{- concat (list .Release.Namespace) .Values.watch.namespaces | uniq | toJson -}}
{{- end -}}

{{/* The argument that says which namespaces are watched; the operator's own always is. */}}
{{- define "operator.scope" -}}
{{- if .Values.watch.all -}}
- --all-namespaces
{{- else -}}
- --namespaces={{ include "operator.namespaces" . | fromJsonArray | join "," }}
{{- end -}}
{{- end -}}

{{/*
  What the operator may do in a place: the rules of one of the roles in files/rbac.yaml, which `healthcare-operator rbac` prints.
  Takes a dictionary of the root and the role's kind and name.
*/}}
{{- define "operator.rules" -}}
{{- range splitList "---\n" (.root.Files.Get "files/rbac.yaml") -}}
{{- $role := fromYaml . -}}
{{- if and (eq ($role.kind | default "") $.kind) (eq ($role.metadata.name) $.name) -}}
{{- toYaml $role.rules -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secrets that traces are sent with, each once, as a JSON list. */}}
{{- define "operator.tracingSecrets" -}}
{{- $names := list -}}
{{- if .Values.tracing.endpoint -}}
{{- range .Values.tracing.headers }}{{ $names = append $names .secret }}{{ end -}}
{{- with .Values.tracing.ca.secret }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "operator.securityContext.pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "operator.securityContext.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}
