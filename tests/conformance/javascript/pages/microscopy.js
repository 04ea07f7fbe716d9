// dicom-microscopy-viewer, whose own build is loaded by the page before this.
import { api } from 'dicomweb-client';
import { offer } from './bridge.js';

const { metadata, viewer } = window.dicomMicroscopyViewer;
const loading = { started: 0, ended: 0, failed: 0, most: 0 };
let shown;

offer({
  open: async ({ connection, series }) => {
    const client = new api.DICOMwebClient({ ...connection, verbose: false });
    const instances = await client.retrieveSeriesMetadata(series);
    const images = instances
      .map((instance) => new metadata.VLWholeSlideMicroscopyImage({ metadata: instance }))
      .filter((image) => ['VOLUME', 'THUMBNAIL'].includes(image.ImageType[2]));
    const container = document.getElementById('viewport');
    container.addEventListener('dicommicroscopyviewer_frame_loading_started', () => {
      loading.started += 1;
      loading.most = Math.max(loading.most, loading.started - loading.ended);
    });
    container.addEventListener('dicommicroscopyviewer_frame_loading_ended', () => (loading.ended += 1));
    container.addEventListener('dicommicroscopyviewer_frame_loading_error', () => (loading.failed += 1));
    shown = new viewer.VolumeImageViewer({ client, metadata: images, controls: [], annotationOptions: {} });
    shown.render({ container });
    return images.map((image) => [image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows]);
  },
  navigate: ({ level, position }) => shown.navigate({ level, position }),
  loading: () => loading,
});
