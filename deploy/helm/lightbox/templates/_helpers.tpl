{{- define "lightbox.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "lightbox.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "lightbox.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "lightbox.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* What a Deployment and its Service find each other by. Takes a list: the root, the role. */ -}}
{{- define "lightbox.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: lightbox
app.kubernetes.io/instance: {{ include "lightbox.name" $root }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "lightbox.labels" -}}
{{- $root := index . 0 -}}
{{ include "lightbox.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- /* What every pod has in common: no root, nothing writable but its work and /tmp. Takes a list: the root, the role. */ -}}
{{- define "lightbox.pod" -}}
{{- $root := index . 0 -}}
{{- if ne (index . 1) "migrate" -}}
serviceAccountName: {{ include "lightbox.account" $root }}
{{ end -}}
automountServiceAccountToken: {{ not (empty $root.Values.serviceAccount.annotations) }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lightbox.selector" . | nindent 8 }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lightbox.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "lightbox.container" -}}
image: {{ include "lightbox.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "lightbox.confined" . | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "lightbox.name" . }}
  - secretRef:
      name: {{ .Values.existingSecret }}
{{- end }}

{{- /* Pods without a web server are scraped on a port of their own: annotations, and settings. */ -}}
{{- define "lightbox.scraped" -}}
prometheus.io/scrape: "true"
prometheus.io/path: /metrics
prometheus.io/port: "9464"
{{- end }}

{{- define "lightbox.scraping" -}}
- name: PACS_METRICS__HOST
  value: 0.0.0.0
- name: PACS_METRICS__PORT
  value: "9464"
{{- end }}

{{- define "lightbox.mounts" -}}
- name: work
  mountPath: /var/lib/lightbox
- name: tmp
  mountPath: /tmp
- name: audit-key
  mountPath: /etc/lightbox/audit
  readOnly: true
{{- end }}

{{- /* Takes a list: the root, the size of the work folder. */ -}}
{{- define "lightbox.volumes" -}}
{{- $root := index . 0 -}}
- name: work
  emptyDir:
    sizeLimit: {{ index . 1 }}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: audit-key
  secret:
    secretName: {{ $root.Values.existingSecret }}
    defaultMode: 288
    items:
      - key: audit_key
        path: audit_key
{{- end }}

{{- define "lightbox.settings" -}}
PACS_PUBLIC_ROOT: {{ .Values.publicRoot | quote }}
PACS_OBJECT_STORE: s3
PACS_S3__ENDPOINT_URL: {{ .Values.s3.endpointUrl | quote }}
PACS_S3__BUCKET: {{ .Values.s3.bucket | quote }}
PACS_S3__REGION: {{ .Values.s3.region | quote }}
PACS_S3__PREFIX: {{ .Values.s3.prefix | quote }}
PACS_TRUSTED_PROXIES: {{ .Values.trustedProxies | toJson | quote }}
PACS_AUDIT__CHECKPOINTS: {{ .Values.audit.checkpoints | quote }}
PACS_AUDIT__KEY: /etc/lightbox/audit/audit_key
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
