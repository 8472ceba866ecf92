geoseg recode labels.tif --codes '1=1,4=2,5=2,*=0' --classes '0=other,1=water,2=woody' -o groups.tif
geoseg recode labels.tif --codes 'water=1,forest=2,*=nodata' -o two.tif
