{{/* The stack's name. The operator shortens longer ones with a digest, which a template cannot foresee, and so they are refused here. */}}
{{- define "stack.name" -}}
{{- $name := .Values.name | default .Release.Name -}}
{{- if or (gt (len $name) 40) (contains "--" $name) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "the stack's name %q does not do: at most 40 small letters, digits and single dashes, a letter first. Set `name`." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "stack.labels" -}}
{{- $own := dict "app.kubernetes.io/name" "healthcare-stack" "app.kubernetes.io/instance" .Release.Name -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- merge $own .Values.labels | toYaml -}}
{{- end -}}

{{/* The spec: the shortcuts, and over them what the user wrote. */}}
{{- define "stack.spec" -}}
{{- $written := deepCopy .Values.spec -}}
{{- $spec := dict "version" .Chart.AppVersion "deletionPolicy" .Values.deletionPolicy -}}
{{- with .Values.timeZone }}{{ $_ := set $spec "timeZone" . }}{{ end -}}
{{- with .Values.currency }}{{ $_ := set $spec "currency" . }}{{ end -}}
{{- $services := dict -}}
{{- $gateway := dict -}}
{{- if gt (int .Values.replicas) 1 -}}
  {{- range list "patient" "appointment" "billing" "records" "notification" "provider" "auth" -}}
    {{- $service := dig "services" . dict $written -}}
    {{- if not (or (hasKey $service "autoscaling") (hasKey $service "replicas")) -}}
      {{- $_ := set $services . (dict "replicas" (int $.Values.replicas)) -}}
    {{- end -}}
  {{- end -}}
  {{- if not (hasKey (dig "gateway" dict $written) "autoscaling") -}}
    {{- $_ := set $gateway "replicas" (int .Values.replicas) -}}
  {{- end -}}
{{- end -}}
{{- with .Values.host -}}
  {{- $ingress := dict "host" . -}}
  {{- /* A route's Gateway has class and certificate. */ -}}
  {{- if not (dig "gateway" "ingress" "parentRefs" list $written) -}}
    {{- with $.Values.ingressClassName }}{{ $_ := set $ingress "className" . }}{{ end -}}
    {{- with $.Values.tlsSecretName }}{{ $_ := set $ingress "tls" (dict "secretName" .) }}{{ end -}}
  {{- end -}}
  {{- $_ := set $gateway "ingress" $ingress -}}
{{- end -}}
{{- if $services }}{{ $_ := set $spec "services" $services }}{{ end -}}
{{- if $gateway }}{{ $_ := set $spec "gateway" $gateway }}{{ end -}}
{{- mergeOverwrite $spec $written | toYaml -}}
{{- end -}}
