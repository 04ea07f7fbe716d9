// Cornerstone's image loader: image ids in, stored values out.
import * as cornerstone from '@cornerstonejs/core';
import * as loader from '@cornerstonejs/dicom-image-loader';
import { api } from 'dicomweb-client';
import { offer } from './bridge.js';

let client;

// Values as stored, not yet rescaled; the loader hands over 3 samples a pixel for colour.
async function load(imageId) {
  const image = await cornerstone.imageLoader.loadImage(imageId, { preScale: { enabled: false } });
  return {
    values: image.getPixelData(),
    type: image.getPixelData().constructor.name,
    rows: image.rows,
    columns: image.columns,
    color: image.color,
    photometricInterpretation: image.imageFrame.photometricInterpretation,
    slope: image.slope,
    intercept: image.intercept,
    windowCenter: image.windowCenter,
    windowWidth: image.windowWidth,
    rowPixelSpacing: image.rowPixelSpacing,
    transferSyntaxUID: image.transferSyntaxUID ?? null,
  };
}

offer({
  connect: async (options) => {
    client = new api.DICOMwebClient({ ...options, verbose: false });
    await cornerstone.init();
    loader.init({ maxWebWorkers: 2, beforeSend: () => options.headers, wasmBasePath: '/wasm/' });
  },

  // As a viewer does it: the metadata of the instance, then each frame by its image id.
  wadors: async ({ address, frames }) => {
    const [metadata] = await client.retrieveInstanceMetadata(address);
    const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = address;
    const instance = `studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`;
    const ids = frames.map((frame) => `wadors:${client.wadoURL}/${instance}/frames/${frame}`);
    for (const id of ids) loader.wadors.metaDataManager.add(id, metadata);
    return Promise.all(ids.map(load));
  },

  wadouri: ({ root, address, frame, parameters }) => {
    const query = new URLSearchParams({
      requestType: 'WADO',
      studyUID: address.studyInstanceUID,
      seriesUID: address.seriesInstanceUID,
      objectUID: address.sopInstanceUID,
      contentType: 'application/dicom',
      ...parameters,
    });
    return load(`wadouri:${root}/wado?${query}${frame ? `&frame=${frame}` : ''}`);
  },
});
